select
    'pixel' as side,
    orders.order_key
from {{ ref('orders') }} as orders
left join {{ ref('reconciled_orders') }} as reconciled on orders.order_key = reconciled.pixel_order_key
group by orders.order_key
having count(reconciled.order_key) <> 1

union all

select
    'admin' as side,
    orders.order_key
from {{ ref('stg_shopify__orders') }} as orders
left join {{ ref('reconciled_orders') }} as reconciled on orders.order_key = reconciled.admin_order_key
group by orders.order_key
having count(reconciled.order_key) <> 1
