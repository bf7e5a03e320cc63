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
        admin_currency,
        cancelled_at,
        refunded_amount,
        net_amount,
        is_test
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
    case when aftermath.admin_currency = orders.currency then aftermath.refunded_amount end as refunded_amount,
    aftermath.cancelled_at,
    case when aftermath.admin_currency = orders.currency then aftermath.net_amount end as net_total_amount,
    coalesce(aftermath.is_test, false) as is_test
from orders
left join lines_per_order on orders.order_key = lines_per_order.order_key
left join sessionized on orders.event_key = sessionized.event_key
left join aftermath on orders.order_key = aftermath.pixel_order_key
left join shops on orders.shop = shops.shop
