{#-
    Every event once, with its session: the basis of all marts. A session ends when its client pauses for more than
    30 minutes. Only events near new ones are re-split into sessions; all others are further away than that.
-#}

{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    unique_key='event_key',
) }}
-- depends_on: {{ ref('int_identifiers_this_run') }}

with

accepted as (

    select * from {{ ref('int_events_accepted_this_run') }}

),

dates as (

    select * from {{ ref('int_dates_scanned_this_run') }}

),

near as (

    {{ event_keys_in_rebuilt_spans(ref('int_events_accepted_this_run') if first_build() else this) }}

),

events as (

    select {{ event_columns() }} from accepted

    {% if not first_build() %}
        union all

        select {{ event_columns() }} from {{ this }}
        where
            local_date in (select dates.local_date from dates)
            and event_key in (select near.event_key from near)
            and event_key not in (select accepted.event_key from accepted)
    {% endif %}

),

with_previous as (

    select
        event_key,
        shop,
        client_id,
        event_id,
        event_at,
        event_sequence,
        lag(event_at) over (
            partition by shop, client_id order by {{ event_order() | join(', ') }}
        ) as previous_event_at
    -- A CTE that is read twice is held in memory with all its columns: a full build reads the view again instead.
    from {{ ref('int_events_accepted_this_run') if first_build() else 'events' }}
    where client_id is not null and {{ is_shopping('event_name', 'page_url', 'page_path') }}

),

-- A gap of exactly 30 minutes does not end the session. The session id comes from its first event.
with_start as (

    select
        *,
        case
            when
                previous_event_at is null
                or event_at > previous_event_at + interval '{{ var("session_gap_minutes") }}' minute
                then {{ surrogate_key(['shop', 'client_id', 'event_id']) }}
        end as started_session_id
    from with_previous

),

sessionized as (

    select
        event_key,
        {{ last_known('started_session_id') }} over (
            partition by shop, client_id
            order by {{ event_order() | join(', ') }}
            rows between unbounded preceding and current row
        ) as session_id
    from with_start

)

select
    events.*,
    sessionized.session_id
from events
left join sessionized on events.event_key = sessionized.event_key
