{#- The number of orders with each product. -#}

{% set half_life = var('order_half_life_days') %}

with

windows as (

    select * from {{ ref('int_training_windows') }}

),

-- A product's pair with itself counts its orders.
orders as (

    select * from {{ ref('int_order_pairs_daily') }}
    where product_id = other_product_id

)

select
    windows.trained_for,
    orders.shop,
    orders.product_id,
    cast(sum(orders.orders) as bigint) as orders,
    cast(sum({{ decayed('orders.orders', 'orders.local_date', 'windows.last_date', half_life) }}) as double)
        as recent_orders
from orders
inner join windows
    on
        orders.shop = windows.shop
        and orders.local_date between windows.first_order_date and windows.last_date
group by windows.trained_for, orders.shop, orders.product_id
