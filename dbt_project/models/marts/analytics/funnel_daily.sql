{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    incremental_predicates=[days_of_this_run()],
) }}

with

sessions as (

    select * from {{ ref('int_sessions') }}
    where not is_bot and {{ is_day_of_this_run('shop', 'local_date') }}

),

visits as (

    select * from {{ ref('int_visits') }}

),

computed as (

    select
        sessions.shop,
        sessions.local_date,
        sessions.channel,
        visits.last_non_direct_channel,
        sessions.device,
        count(*) as sessions,
        count(sessions.viewed_at) as viewed,
        count(sessions.carted_closed_at) as carted_closed,
        count(sessions.checked_out_closed_at) as checked_out_closed,
        count(sessions.purchased_closed_at) as purchased_closed,
        count(sessions.carted_open_at) as carted_open,
        count(sessions.checked_out_open_at) as checked_out_open,
        count(sessions.purchased_open_at) as purchased_open
    from sessions
    inner join visits on sessions.session_id = visits.session_id
    group by sessions.shop, sessions.local_date, sessions.channel, visits.last_non_direct_channel, sessions.device

)

{{ with_kept_days('computed') }}
