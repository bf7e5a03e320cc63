with

files as (

    select * from {{ source('pixel', 'landing_files') }}

),

loads as (

    select * from {{ source('pixel', '_dlt_loads') }}

),

received as (

    select
        landing_file,
        max(received_at) as newest_received_at
    from {{ ref('base_pixel__events') }}
    group by landing_file

)

select
    loads.load_id,
    cast(loads.inserted_at as timestamp) as loaded_at,
    count(*) as landing_files,
    cast(sum(files.events) as bigint) as events,
    cast(sum(files.unreadable_lines) as bigint) as unreadable_lines,
    cast(sum(files.bytes) as bigint) as bytes,
    max(received.newest_received_at) as newest_received_at
from files
inner join loads on files._dlt_load_id = loads.load_id
left join received on files.landing_file = received.landing_file
group by loads.load_id, loads.inserted_at
