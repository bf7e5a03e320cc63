with

reconciled as (

    select * from {{ ref('int_orders_reconciled') }}

),

shops as (

    select * from {{ ref('shops') }}

)

select
    reconciled.order_key,
    reconciled.shop,
    reconciled.pixel_order_key,
    reconciled.admin_order_key,
    reconciled.outcome,
    reconciled.matched_by,
    reconciled.ordered_at,
    {{ local_date('reconciled.ordered_at', "coalesce(shops.timezone, 'UTC')") }} as local_date,
    reconciled.currency,
    reconciled.pixel_currency,
    reconciled.pixel_amount,
    reconciled.admin_amount
from reconciled
left join shops on reconciled.shop = shops.shop
