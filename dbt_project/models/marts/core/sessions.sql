with

sessionized as (

    select * from {{ ref('int_events_sessionized') }}

),

events as (

    select
        event_key,
        event_name
    from {{ ref('stg_pixel__events') }}

),

arrivals as (

    select * from {{ ref('int_session_arrivals') }}

),

user_agents as (

    select * from {{ ref('stg_pixel__user_agents') }}

),

shops as (

    select * from {{ ref('shops') }}

),

counted as (

    select
        sessionized.session_id,
        sessionized.shop,
        sessionized.client_id,
        min(sessionized.event_at) as started_at,
        max(sessionized.event_at) as ended_at,
        count(*) as events,
        count(*) filter (where events.event_name = 'page_viewed') as page_views,
        count(*) filter (where events.event_name = 'product_viewed') as product_views,
        count(*) filter (where events.event_name = 'collection_viewed') as collection_views,
        count(*) filter (where events.event_name = 'search_submitted') as searches,
        count(*) filter (where events.event_name = 'product_added_to_cart') as cart_adds,
        count(*) filter (where events.event_name = 'product_removed_from_cart') as cart_removes,
        count(*) filter (where events.event_name = 'checkout_started') as checkouts_started,
        count(*) filter (where events.event_name = 'checkout_completed') as checkouts_completed
    from sessionized
    inner join events on sessionized.event_key = events.event_key
    group by sessionized.session_id, sessionized.shop, sessionized.client_id

)

select
    counted.session_id,
    counted.shop,
    counted.client_id,
    counted.started_at,
    counted.ended_at,
    {{ local_date('counted.started_at', "coalesce(shops.timezone, 'UTC')") }} as session_date,
    counted.events,
    counted.page_views,
    counted.product_views,
    counted.collection_views,
    counted.searches,
    counted.cart_adds,
    counted.cart_removes,
    counted.checkouts_started,
    counted.checkouts_completed,
    arrivals.landing_path,
    arrivals.referrer_host,
    arrivals.utm_source,
    arrivals.utm_medium,
    arrivals.utm_campaign,
    arrivals.channel,
    coalesce(user_agents.device, 'unknown') as device,
    coalesce(user_agents.is_bot, false) as is_bot
from counted
inner join arrivals on counted.session_id = arrivals.session_id
left join user_agents on arrivals.user_agent = user_agents.user_agent
left join shops on counted.shop = shops.shop
