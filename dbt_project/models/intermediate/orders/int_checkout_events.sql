{#-
    The few events that have a checkout, a customer or an order, with their sessions, for models that scan the whole
    history for them.
-#}

{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    unique_key='event_key',
    incremental_predicates=[rows_of_this_run('event_key', 'int_events_changed_this_run')],
) }}
-- depends_on: {{ ref('int_events_changed_this_run') }}

select
    event_key,
    shop,
    event_id,
    event_name,
    event_at,
    local_date,
    event_sequence,
    client_id,
    session_id,
    checkout_token,
    order_gid,
    customer_id,
    is_first_order,
    currency,
    subtotal_amount,
    discount_amount,
    shipping_amount,
    tax_amount,
    total_amount,
    lines,
    lines_complete,
    line_count,
    discount_applications,
    delivery_options
from {{ events_rebuilt_this_run() }}
where {{ in_texts('event_name', checkout_steps()) }}
