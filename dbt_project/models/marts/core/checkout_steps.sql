{{ config(materialized='view') }}

with

checkout_events as (

    select * from {{ ref('int_checkout_events') }}

),

order_events as (

    select * from {{ ref('int_order_events') }}

),

flags as (

    select * from {{ ref('int_session_flags') }}

),

shops as (

    select * from {{ ref('stg_shops__shops') }}

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
    {{ local_time('checkout_events.event_at', "coalesce(shops.timezone, 'UTC')") }} as stepped_local_at,
    checkout_events.local_date,
    checkout_events.total_amount,
    checkout_events.currency,
    order_events.order_key,
    order_events.is_order_event,
    coalesce(flags.is_bot, false) as is_bot,
    coalesce(flags.is_test, false) as is_test
from checkout_events
left join flags on checkout_events.session_id = flags.session_id
left join shops on checkout_events.shop = shops.shop
left join order_events on checkout_events.event_key = order_events.event_key
