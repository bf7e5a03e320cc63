with

orders as (

    select * from {{ ref('int_orders_deduplicated') }}

),

sessionized as (

    select * from {{ ref('int_events_sessionized') }}

),

shops as (

    select * from {{ ref('shops') }}

),

-- What became of it since, where the Admin API's orders are loaded.
aftermath as (

    select
        pixel_order_key,
        cancelled_at,
        refunded_amount
    from {{ ref('int_orders_reconciled') }}
    where pixel_order_key is not null and admin_order_key is not null

),

lines_per_order as (

    select
        order_key,
        count(*) as line_items,
        cast(sum(quantity) as bigint) as units
    from {{ ref('int_order_lines') }}
    group by order_key

)

select
    orders.order_key,
    orders.shop,
    orders.order_id,
    orders.order_gid,
    orders.checkout_token,
    orders.customer_id,
    orders.is_first_order,
    orders.event_key,
    sessionized.session_id,
    orders.client_id,
    orders.ordered_at,
    {{ local_date('orders.ordered_at', "coalesce(shops.timezone, 'UTC')") }} as order_date,
    coalesce(lines_per_order.line_items, 0) as line_items,
    coalesce(lines_per_order.units, 0) as units,
    orders.currency,
    orders.subtotal_amount,
    orders.discount_amount,
    orders.shipping_amount,
    orders.tax_amount,
    orders.total_amount as gross_total_amount,
    aftermath.refunded_amount,
    aftermath.cancelled_at,
    case
        when aftermath.pixel_order_key is null then null
        when aftermath.cancelled_at is not null then 0
        else {{ money('orders.total_amount - coalesce(aftermath.refunded_amount, 0)') }}
    end as net_total_amount
from orders
left join lines_per_order on orders.order_key = lines_per_order.order_key
left join sessionized on orders.event_key = sessionized.event_key
left join aftermath on orders.order_key = aftermath.pixel_order_key
left join shops on orders.shop = shops.shop
