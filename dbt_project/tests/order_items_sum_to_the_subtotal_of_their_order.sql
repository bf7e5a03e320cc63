-- Other systems' checkouts may have discounts that no line shows, so this only warns. Orders with incomplete lines are
-- left out.
{{ config(severity='warn') }}

select
    orders.order_key,
    orders.subtotal_amount,
    sum(items.amount) as items_amount
from {{ ref('orders') }} as orders
inner join {{ ref('order_items') }} as items on orders.order_key = items.order_key
where orders.lines_complete
group by orders.order_key, orders.subtotal_amount, orders.currency
having abs(sum(items.amount) - orders.subtotal_amount) > count(*) * {{ smallest_unit('orders.currency') }}
