{{ config(materialized='view') }}

with

checkout_events as (

    select * from {{ ref('int_checkout_events') }}

),

order_events as (

    select * from {{ ref('int_order_events') }}

)

select
    checkout_events.event_key,
    checkout_events.shop,
    checkout_events.session_id,
    checkout_events.client_id,
    checkout_events.checkout_token,
    checkout_events.customer_id,
    checkout_events.event_name as step,
    checkout_events.event_at as stepped_at,
    checkout_events.event_date as step_date,
    checkout_events.total_amount,
    checkout_events.currency,
    order_events.order_key,
    order_events.is_order_event
from checkout_events
left join order_events on checkout_events.event_key = order_events.event_key
