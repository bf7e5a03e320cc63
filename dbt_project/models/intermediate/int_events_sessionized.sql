with

events as (

    select
        event_key,
        shop,
        client_id,
        event_id,
        event_at
    from {{ ref('stg_pixel__events') }}
    where client_id is not null

),

with_previous as (

    select
        *,
        lag(event_at) over (partition by shop, client_id order by event_at, event_id) as previous_event_at
    from events

),

-- A gap of exactly 30 minutes stays inside the session.
with_start as (

    select
        *,
        case
            when previous_event_at is null then 1
            when event_at > previous_event_at + interval '{{ var("session_gap_minutes") }}' minute then 1
            else 0
        end as starts_session
    from with_previous

),

numbered as (

    select
        *,
        sum(starts_session) over (
            partition by shop, client_id
            order by event_at, event_id
            rows between unbounded preceding and current row
        ) as session_number
    from with_start

),

with_first_event as (

    select
        *,
        first_value(event_id) over (
            partition by shop, client_id, session_number
            order by event_at, event_id
            rows between unbounded preceding and unbounded following
        ) as first_event_id
    from numbered

)

select
    event_key,
    shop,
    client_id,
    event_at,
    {{ surrogate_key(['shop', 'client_id', 'first_event_id']) }} as session_id
from with_first_event
