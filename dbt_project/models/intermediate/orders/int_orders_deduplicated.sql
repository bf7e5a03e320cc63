with

checkout_events as (

    select * from {{ ref('int_checkout_events') }}

),

order_events as (

    select * from {{ ref('int_order_events') }}
    where is_order_event

)

select
    order_events.order_key,
    checkout_events.shop,
    order_events.order_id,
    checkout_events.order_gid,
    checkout_events.checkout_token,
    checkout_events.customer_id,
    checkout_events.is_first_order,
    checkout_events.event_key,
    checkout_events.session_id,
    checkout_events.client_id,
    checkout_events.event_at as ordered_at,
    checkout_events.local_date,
    checkout_events.currency,
    checkout_events.subtotal_amount,
    checkout_events.discount_amount,
    checkout_events.shipping_amount,
    checkout_events.tax_amount,
    checkout_events.total_amount
from order_events
inner join checkout_events on order_events.event_key = checkout_events.event_key
