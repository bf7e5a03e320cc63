{#- The events of the sessions that this run has cut anew, and new ones without a client; after a first build, none. -#}

with

events as (

    select * from {{ ref('int_events') }}

),

touched as (

    select * from {{ ref('int_touched_events') }}

),

dates as (

    select * from {{ ref('int_touched_dates') }}

),

keys as (

    {{ event_keys_in_touched_spans(ref('int_events')) }}

    union

    select event_key
    from touched
    where client_id is null

)

select *
from events
where
    local_date in (select dates.local_date from dates)
    and event_key in (select keys.event_key from keys)
    {{ 'and false' if first_build() }}
