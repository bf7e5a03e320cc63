{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    incremental_predicates=[days_of_this_run()],
) }}

with

events as (

    select
        *,
        {{ elapsed('second', 'event_at', 'received_at') }} as lateness_seconds
    from {{ ref('int_events') }}
    where {{ is_day_of_this_run('shop', 'local_date') }}

),

computed as (

    select
        {{ surrogate_key(['shop', 'local_date']) }} as volume_key,
        shop,
        local_date,
        count(*) as events,
        count(*) filter (where client_id is null) as events_without_client,
        count(*) filter (where is_analytics_allowed is null) as events_with_unknown_consent,
        count(*) filter (where lateness_seconds > 3600) as events_over_an_hour_late,
        count(*) filter (where lateness_seconds > 86400) as events_over_a_day_late,
        max(lateness_seconds) as lateness_seconds_max,
        max(received_at) as newest_received_at
    from events
    group by shop, local_date

)

{{ with_kept_days('computed') }}
