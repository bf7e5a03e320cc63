-- What was received is what is used, what repeats it, and what is quarantined: nothing vanishes on the way.
with

received as (

    select count(*) as events from {{ source('pixel', 'events') }}

),

typed as (

    select
        count(*) as events,
        count(*) filter (where rejection_reason is null) as usable
    from {{ ref('base_pixel__events') }}

),

used as (

    select count(*) as events from {{ ref('stg_pixel__events') }}

),

distinct_usable as (

    select count(distinct concat_ws('|', shop, event_id)) as events
    from {{ ref('base_pixel__events') }}
    where rejection_reason is null

)

select
    received.events as received,
    typed.events as typed,
    used.events as used,
    distinct_usable.events as distinct_usable
from received
cross join typed
cross join used
cross join distinct_usable
where received.events <> typed.events or used.events <> distinct_usable.events
