{#- The events of sessions that this run re-split, and new events without a client; empty in a first build. -#}

with

events as (

    select * from {{ ref('int_events') }}

),

changed as (

    select * from {{ ref('int_events_changed_this_run') }}

),

dates as (

    select * from {{ ref('int_dates_scanned_this_run') }}

),

keys as (

    {{ event_keys_in_rebuilt_spans(ref('int_events')) }}

    union

    select event_key
    from changed
    where client_id is null

)

select *
from events
where
    local_date in (select dates.local_date from dates)
    and event_key in (select keys.event_key from keys)
    {{ 'and false' if first_build() }}
