-- No order is lost: each checkout_completed event is the source of an order or marked as a repeat of one.

with

completed as (

    select * from {{ ref('checkout_steps') }}
    where step = 'checkout_completed'

),

orders as (

    select * from {{ ref('orders') }}

)

select
    completed.event_key,
    completed.order_key
from completed
left join orders on completed.order_key = orders.order_key
where
    orders.order_key is null
    or completed.is_order_event is null
    or completed.is_order_event <> (completed.event_key = orders.event_key)
