{{ config(materialized='view') }}

with

orders as (

    select * from {{ ref('orders') }}

),

lines as (

    select * from {{ ref('int_order_lines') }}

)

select
    {{ surrogate_key(['orders.shop', 'orders.order_id', 'lines.line_number']) }} as order_item_id,
    orders.order_key,
    orders.shop,
    orders.order_id,
    lines.line_number,
    orders.ordered_at,
    orders.ordered_local_at,
    orders.local_date,
    lines.product_id,
    lines.variant_id,
    lines.sku,
    lines.product_title,
    lines.variant_title,
    lines.quantity,
    lines.unit_price,
    lines.discount_amount,
    lines.amount,
    orders.amount_basis,
    orders.currency,
    orders.is_bot,
    orders.is_test
from orders
inner join lines on orders.event_key = lines.event_key
