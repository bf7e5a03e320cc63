{#-
    What orders lost since they were placed: each refund on its date, and the rest (an unpaid cancellation, an edit) on
    the date of the cancellation, or else of the order. No loss is dated before its order or after today.
-#}

{{ config(materialized='view') }}

with

orders as (

    select * from {{ ref('int_orders_combined') }}
    where net_amount is not null

),

refunds as (

    select
        orders.order_key,
        coalesce(refunds.refunded_at, orders.ordered_at) as lost_at,
        refunds.amount
    from orders
    inner join {{ ref('stg_shopify__refunds') }} as refunds on orders.admin_order_key = refunds.order_key

),

refunded as (

    select
        order_key,
        sum(amount) as amount
    from refunds
    group by order_key

),

rest as (

    select
        orders.order_key,
        coalesce(orders.cancelled_at, orders.ordered_at) as lost_at,
        orders.gross_amount - orders.net_amount - coalesce(refunded.amount, 0) as amount
    from orders
    left join refunded on orders.order_key = refunded.order_key

),

losses as (

    select * from refunds

    union all

    select * from rest

)

select
    orders.shop,
    orders.order_key,
    orders.journey_id,
    orders.currency,
    greatest(
        least({{ local_date('losses.lost_at', "coalesce(shops.timezone, 'UTC')") }}, today.today), orders.local_date
    ) as local_date,
    losses.amount
from losses
inner join orders on losses.order_key = orders.order_key
left join {{ ref('stg_shops__shops') }} as shops on orders.shop = shops.shop
left join {{ ref('int_shop_today') }} as today on orders.shop = today.shop
where losses.amount <> 0
