with

files as (

    select sum(events) as events from {{ ref('loads') }}

),

raw_events as (

    select count(*) as events from {{ source('pixel', 'events') }}

)

select
    files.events as of_files,
    raw_events.events as raw_events
from files
cross join raw_events
where coalesce(files.events, 0) <> raw_events.events
