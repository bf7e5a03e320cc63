with

files as (

    select * from {{ source('pixel', 'landing_files') }}

),

received as (

    select
        landing_file,
        max(received_at) as newest_received_at
    from {{ ref('base_pixel__events') }}
    group by landing_file

)

select
    files._dlt_load_id as load_id,
    cast(max(files.loaded_at) as timestamp) as loaded_at,
    count(*) as landing_files,
    cast(sum(files.events) as bigint) as events,
    cast(sum(files.unreadable_lines) as bigint) as unreadable_lines,
    cast(sum(files.bytes) as bigint) as bytes,
    max(received.newest_received_at) as newest_received_at
from files
left join received on files.landing_file = received.landing_file
group by files._dlt_load_id
