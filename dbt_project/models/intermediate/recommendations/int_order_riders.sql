{#-
    Order riders: products in most orders, together with others, and hardly ever viewed, such as a fee or a protection that
    the cart adds automatically. Shoppers do not look for them, so they are not recommended.
-#}

with

windows as (

    select
        shop,
        cast({{ dbt.dateadd('day', 1 - var('rider_days'), 'today') }} as date) as first_date,
        today as last_date
    from {{ ref('int_shop_today') }}

),

baskets as (

    select baskets.*
    from {{ ref('int_baskets') }} as baskets
    inner join windows
        on baskets.shop = windows.shop and baskets.local_date between windows.first_date and windows.last_date

),

orders_of_shops as (

    select
        shop,
        count(distinct order_key) as orders
    from baskets
    group by shop

),

bought as (

    select
        shop,
        product_id,
        count(*) as orders,
        sum(case when products > 1 then 1 else 0 end) as orders_with_others
    from baskets
    group by shop, product_id

),

viewed as (

    select
        views.shop,
        views.product_id,
        count(*) as sessions
    from {{ ref('int_session_products') }} as views
    inner join windows
        on views.shop = windows.shop and views.local_date between windows.first_date and windows.last_date
    where views.is_last_view
    group by views.shop, views.product_id

),

-- If views are not recorded, a lack of views carries no signal.
shops_with_views as (

    select shop
    from viewed
    group by shop
    having sum(sessions) >= {{ var('rider_min_orders') }}

)

select
    bought.shop,
    bought.product_id,
    bought.orders
from bought
inner join orders_of_shops on bought.shop = orders_of_shops.shop
inner join shops_with_views on bought.shop = shops_with_views.shop
left join viewed on bought.shop = viewed.shop and bought.product_id = viewed.product_id
where
    bought.orders >= {{ var('rider_min_orders') }}
    and bought.orders > {{ var('rider_order_share') }} * orders_of_shops.orders
    and bought.orders_with_others >= 0.9 * bought.orders
    and coalesce(viewed.sessions, 0) <= {{ var('rider_view_share') }} * bought.orders
