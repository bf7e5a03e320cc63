{#-
    Sessions with attributes from their own events only: nothing depends on another session, so a late event never makes
    unrelated rows stale.
-#}

{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    incremental_predicates=["session_id in (
        select sessions.session_id
        from intermediate.int_sessions as sessions
        inner join intermediate.int_events_changed_this_run as changed
            on
                sessions.shop = changed.shop
                and sessions.client_id = changed.client_id
                and sessions.started_at <= changed.to_at
                and sessions.ended_at >= changed.from_at
    )"],
) }}

with

events as (

    select * from {{ events_rebuilt_this_run() }}
    where session_id is not null

),

arrivals as (

    select * from {{ ref('int_session_arrivals_this_run') }}

),

funnel as (

    select * from {{ ref('int_session_funnel_this_run') }}

),

paths as (

    select * from {{ ref('int_session_paths_this_run') }}

),

user_agents as (

    select * from {{ ref('stg_pixel__user_agents') }}

),

shops as (

    select * from {{ ref('stg_shops__shops') }}

),

counted as (

    select
        session_id,
        shop,
        client_id,
        min(event_at) as started_at,
        max(event_at) as ended_at,
        count(*) as events,
        count(*) filter (where event_name = 'page_viewed') as page_views,
        count(*) filter (where event_name = 'product_viewed') as product_views,
        count(*) filter (where event_name = 'collection_viewed') as collection_views,
        count(*) filter (where event_name = 'search_submitted') as searches,
        count(*) filter (where event_name = 'product_added_to_cart') as cart_adds,
        count(*) filter (where event_name = 'product_removed_from_cart') as cart_removes,
        count(*) filter (where event_name = 'checkout_started') as checkouts_started,
        count(*) filter (where event_name = 'checkout_completed') as checkouts_completed,
        max(event_at) filter (
            where event_name in ('product_added_to_cart', 'product_removed_from_cart', 'cart_viewed')
        ) as last_cart_action_at,
        min(country) as country
    from events
    group by session_id, shop, client_id

),

judged as (

    select
        counted.*,
        arrivals.landing_path,
        arrivals.referrer_host,
        arrivals.utm_source,
        arrivals.utm_medium,
        arrivals.utm_campaign,
        arrivals.channel,
        coalesce(user_agents.device, 'unknown') as device,
        case
            when user_agents.is_bot then 'user agent'
            -- Nobody reads that fast for that long, or shops for a day without a half-hour pause.
            when
                counted.page_views >= {{ var('bot_page_views') }}
                and counted.page_views
                > {{ var('bot_page_views_per_minute') }}
                * cast({{ elapsed('second', 'counted.started_at', 'counted.ended_at') }} as double) / 60
                then 'rate'
            when counted.ended_at > counted.started_at + interval '{{ var("bot_session_hours") }}' hour then 'duration'
        end as bot_reason
    from counted
    inner join arrivals on counted.session_id = arrivals.session_id
    left join user_agents on arrivals.user_agent = user_agents.user_agent

)

select
    judged.session_id,
    judged.shop,
    judged.client_id,
    judged.started_at,
    judged.ended_at,
    {{ local_date('judged.started_at', "coalesce(shops.timezone, 'UTC')") }} as local_date,
    judged.events,
    judged.page_views,
    judged.product_views,
    judged.collection_views,
    judged.searches,
    judged.cart_adds,
    judged.cart_removes,
    judged.checkouts_started,
    judged.checkouts_completed,
    judged.last_cart_action_at,
    judged.landing_path,
    judged.referrer_host,
    judged.utm_source,
    judged.utm_medium,
    judged.utm_campaign,
    judged.channel,
    judged.device,
    judged.country,
    judged.bot_reason,
    judged.bot_reason is not null as is_bot,
    funnel.viewed_at,
    funnel.carted_open_at,
    funnel.checked_out_open_at,
    funnel.purchased_open_at,
    funnel.carted_closed_at,
    funnel.checked_out_closed_at,
    funnel.purchased_closed_at,
    paths.path,
    paths.steps as path_steps
from judged
left join funnel on judged.session_id = funnel.session_id
left join paths on judged.session_id = paths.session_id
left join shops on judged.shop = shops.shop
