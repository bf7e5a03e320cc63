{{ config(materialized='view') }}

select
    cart_action_id,
    event_key,
    shop,
    session_id,
    client_id,
    event_at as acted_at,
    event_date as acted_date,
    action,
    line_number,
    product_id,
    variant_id,
    sku,
    product_title,
    quantity,
    unit_price,
    amount,
    currency
from {{ ref('int_cart_lines') }}
