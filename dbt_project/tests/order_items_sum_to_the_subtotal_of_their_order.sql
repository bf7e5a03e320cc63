-- Other systems' checkouts may hold discounts that no line names, so this warns instead of failing.
{{ config(severity='warn') }}

select
    orders.order_key,
    orders.subtotal_amount,
    sum(items.amount) as items_amount
from {{ ref('orders') }} as orders
inner join {{ ref('order_items') }} as items on orders.order_key = items.order_key
group by orders.order_key, orders.subtotal_amount
having sum(items.amount) <> orders.subtotal_amount
