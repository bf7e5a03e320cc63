{#-
    The end of a run. It comes after every model that reads a work set, remembers which landing files they now hold, and
    empties the work sets. A run that dies before leaves both as they are, and the next one takes up the same files; so does
    one that was asked for some of the models only.
-#}

{% set incremental_models = [
    'identity_map',
    'identity_changes',
    'user_journeys',
    'int_events',
    'int_events_rejected',
    'int_sessions',
    'int_visits',
    'int_checkout_events',
    'int_order_amounts',
    'int_order_lines',
    'int_cart_lines',
    'int_checkouts',
    'int_product_mentions',
    'orders',
    'daily_shop',
    'daily_product',
    'daily_sales',
    'funnel_daily',
    'checkout_funnel',
    'event_volume',
    'int_session_products',
    'int_view_pairs_daily',
    'int_order_pairs_daily',
] %}

{{ config(
    materialized='incremental',
    incremental_strategy='replace_touched',
    unique_key='landing_file',
    post_hook=[
        "delete from intermediate.int_touched_events where {{ is_whole_run() }}",
        "delete from intermediate.int_touched_identifiers where {{ is_whole_run() }}",
        "delete from intermediate.int_touched_days where {{ is_whole_run() }}",
        "delete from intermediate.int_events_received where {{ is_whole_run() }}",
    ],
) }}

{% for model in incremental_models %}
-- depends_on: {{ ref(model) }}
{% endfor %}

select
    landing_file,
    load_id,
    '{{ env_var("PIXELNOVA_FINGERPRINT", "unknown") }}' as fingerprint
from {{ ref('int_landing_files_pending') }}
where {{ is_whole_run() }}
