{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    incremental_predicates=[days_of_this_run()],
) }}

with

shops as (

    select * from {{ ref('shops') }}

),

sessions as (

    select
        sessions.shop,
        sessions.local_date,
        sessions.is_bot,
        visits.journey_id,
        visits.is_new_visitor
    from {{ ref('int_sessions') }} as sessions
    inner join {{ ref('int_visits') }} as visits on sessions.session_id = visits.session_id
    where {{ is_day_of_this_run('sessions.shop', 'sessions.local_date') }}

),

events as (

    select
        events.shop,
        events.local_date,
        events.event_name
    from {{ ref('int_events') }} as events
    left join {{ ref('int_sessions') }} as sessions on events.session_id = sessions.session_id
    where
        events.event_name in ('product_viewed', 'product_added_to_cart', 'checkout_started')
        and not coalesce(sessions.is_bot, false)
        and {{ is_day_of_this_run('events.shop', 'events.local_date') }}

),

orders as (

    select
        orders.*,
        orders.currency = shops.currency as is_in_shop_currency
    from {{ ref('orders') }} as orders
    left join shops on orders.shop = shops.shop
    where not orders.is_test and {{ is_day_of_this_run('orders.shop', 'orders.local_date') }}

),

-- Distinct visitors: two visits on one day count as one visitor.
visited as (

    select
        shop,
        local_date,
        count(*) filter (where not is_bot) as sessions,
        count(distinct case when not is_bot then journey_id end) as visitors,
        count(distinct case when not is_bot and is_new_visitor then journey_id end) as new_visitors,
        count(*) filter (where is_bot) as bot_sessions
    from sessions
    group by shop, local_date

),

acted as (

    select
        shop,
        local_date,
        count(*) filter (where event_name = 'product_viewed') as product_views,
        count(*) filter (where event_name = 'product_added_to_cart') as cart_adds,
        count(*) filter (where event_name = 'checkout_started') as checkouts_started
    from events
    group by shop, local_date

),

sold as (

    select
        shop,
        local_date,
        count(*) as orders,
        count(*) filter (where is_repeat_order) as repeat_orders,
        count(*) filter (where not coalesce(is_in_shop_currency, false)) as orders_in_other_currencies,
        sum(gross_total_amount) filter (where is_in_shop_currency) as gross_sales_amount,
        count(gross_total_amount) filter (where is_in_shop_currency) as orders_valued
    from orders
    group by shop, local_date

),

days as (

    select
        shop,
        local_date
    from visited

    union

    select
        shop,
        local_date
    from acted

    union

    select
        shop,
        local_date
    from sold

),

computed as (

    select
        {{ surrogate_key(['days.shop', 'days.local_date']) }} as daily_shop_key,
        days.shop,
        days.local_date,
        coalesce(visited.sessions, 0) as sessions,
        coalesce(visited.visitors, 0) as visitors,
        coalesce(visited.new_visitors, 0) as new_visitors,
        coalesce(visited.visitors - visited.new_visitors, 0) as repeat_visitors,
        coalesce(visited.bot_sessions, 0) as bot_sessions,
        coalesce(acted.product_views, 0) as product_views,
        coalesce(acted.cart_adds, 0) as cart_adds,
        coalesce(acted.checkouts_started, 0) as checkouts_started,
        coalesce(sold.orders, 0) as orders,
        coalesce(sold.repeat_orders, 0) as repeat_orders,
        coalesce(sold.orders_in_other_currencies, 0) as orders_in_other_currencies,
        shops.currency,
        {{ total('coalesce(sold.gross_sales_amount, 0)') }} as gross_sales_amount,
        cast(sold.gross_sales_amount as double) / nullif(sold.orders_valued, 0) as average_order_value
    from days
    left join visited on days.shop = visited.shop and days.local_date = visited.local_date
    left join acted on days.shop = acted.shop and days.local_date = acted.local_date
    left join sold on days.shop = sold.shop and days.local_date = sold.local_date
    left join shops on days.shop = shops.shop

)

{{ with_kept_days('computed') }}
