{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    incremental_predicates=[days_of_this_run()],
) }}

with

shops as (

    select * from {{ ref('shops') }}

),

events as (

    select
        events.shop,
        events.local_date,
        events.product_id,
        events.event_name,
        visits.journey_id,
        events.quantity
    from {{ ref('int_events') }} as events
    left join {{ ref('int_sessions') }} as sessions on events.session_id = sessions.session_id
    left join {{ ref('int_visits') }} as visits on events.session_id = visits.session_id
    where
        events.event_name in ('product_viewed', 'product_added_to_cart', 'product_removed_from_cart')
        and events.product_id is not null
        and not coalesce(sessions.is_bot, false)
        and {{ is_day_of_this_run('events.shop', 'events.local_date') }}

),

items as (

    select
        orders.shop,
        orders.local_date,
        orders.order_key,
        lines.product_id,
        lines.quantity,
        case when orders.currency = shops.currency then lines.amount end as amount
    from {{ ref('orders') }} as orders
    inner join {{ ref('int_order_lines') }} as lines on orders.event_key = lines.event_key
    left join shops on orders.shop = shops.shop
    where
        not orders.is_test
        and lines.product_id is not null
        and {{ is_day_of_this_run('orders.shop', 'orders.local_date') }}

),

seen as (

    select
        shop,
        product_id,
        local_date,
        count(*) filter (where event_name = 'product_viewed') as views,
        count(distinct case when event_name = 'product_viewed' then journey_id end) as viewers,
        count(*) filter (where event_name = 'product_added_to_cart') as cart_adds,
        count(*) filter (where event_name = 'product_removed_from_cart') as cart_removes
    from events
    group by shop, product_id, local_date

),

sold as (

    select
        shop,
        product_id,
        local_date,
        count(distinct order_key) as orders,
        cast(sum(quantity) as bigint) as units,
        sum(amount) as sales_amount
    from items
    group by shop, product_id, local_date

),

days as (

    select
        shop,
        product_id,
        local_date
    from seen

    union

    select
        shop,
        product_id,
        local_date
    from sold

),

computed as (

    select
        {{ surrogate_key(['days.shop', 'days.product_id', 'days.local_date']) }} as daily_product_key,
        days.shop,
        days.product_id,
        days.local_date,
        coalesce(seen.views, 0) as views,
        coalesce(seen.viewers, 0) as viewers,
        coalesce(seen.cart_adds, 0) as cart_adds,
        coalesce(seen.cart_removes, 0) as cart_removes,
        coalesce(sold.orders, 0) as orders,
        coalesce(sold.units, 0) as units,
        shops.currency,
        {{ total('coalesce(sold.sales_amount, 0)') }} as sales_amount,
        cast(seen.cart_adds as double) / nullif(seen.views, 0) as add_to_cart_rate,
        cast(coalesce(sold.orders, 0) as double) / nullif(seen.views, 0) as purchase_rate
    from days
    left join seen
        on days.shop = seen.shop and days.product_id = seen.product_id and days.local_date = seen.local_date
    left join sold
        on days.shop = sold.shop and days.product_id = sold.product_id and days.local_date = sold.local_date
    left join shops on days.shop = shops.shop

)

{{ with_kept_days('computed') }}
