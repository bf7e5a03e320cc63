{#- For orders that were neither edited nor cancelled. -#}

select orders.order_key
from {{ ref('orders') }} as orders
inner join {{ ref('reconciled_orders') }} as reconciled on orders.order_key = reconciled.pixel_order_key
inner join {{ ref('stg_shopify__orders') }} as admin_orders on reconciled.admin_order_key = admin_orders.order_key
where
    reconciled.outcome = 'matched'
    and admin_orders.total_amount = admin_orders.original_total_amount
    and admin_orders.cancelled_at is null
    and orders.net_total_amount <> orders.gross_total_amount - orders.refunded_amount
