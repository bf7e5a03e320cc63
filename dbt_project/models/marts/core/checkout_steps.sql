{{ config(materialized='view') }}

select
    event_key,
    shop,
    session_id,
    client_id,
    checkout_token,
    customer_id,
    event_name as step,
    event_at as stepped_at,
    event_date as step_date,
    total_amount,
    currency
from {{ ref('int_checkout_events') }}
where event_name like 'checkout%' or event_name = 'payment_info_submitted'
