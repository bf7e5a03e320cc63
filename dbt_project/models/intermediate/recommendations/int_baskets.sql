{#- The distinct products of each order, without test orders. -#}

{{ config(materialized='view') }}

with

products as (

    select distinct
        orders.shop,
        orders.order_key,
        orders.local_date,
        orders.journey_id,
        lines.product_id
    from {{ ref('orders') }} as orders
    inner join {{ ref('int_order_lines') }} as lines on orders.event_key = lines.event_key
    where lines.product_id is not null and not orders.is_test

)

select
    *,
    count(*) over (partition by order_key) as products
from products
