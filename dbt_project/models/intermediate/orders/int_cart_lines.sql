{#- The lines of every cart add, remove and view. -#}

{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    unique_key='event_key',
    incremental_predicates=[rows_of_this_run('event_key', 'int_events_changed_this_run')],
) }}
-- depends_on: {{ ref('int_events_changed_this_run') }}

{% set line_fields = {
    'variant_gid': '$.merchandise.id',
    'product_gid': '$.merchandise.product.id',
    'sku': '$.merchandise.sku',
    'product_title': '$.merchandise.product.title',
    'untranslated_title': '$.merchandise.product.untranslatedTitle',
    'quantity': '$.quantity',
    'unit_price': '$.merchandise.price.amount',
    'amount': '$.cost.totalAmount.amount',
    'cost_currency': '$.cost.totalAmount.currencyCode',
    'price_currency': '$.merchandise.price.currencyCode',
} %}

{% set event_columns = [
    'event_key', 'shop', 'event_id', 'event_at', 'local_date', 'client_id', 'session_id', 'event_name'
] %}

with

events as (

    select
        {{ event_columns | join(', ') }},
        case when event_name <> 'cart_viewed' then lines end as cart_line,
        case when event_name = 'cart_viewed' then {{ json_array('lines', '$') }} end as cart_lines
    from {{ events_rebuilt_this_run() }}
    where event_name in ('product_added_to_cart', 'product_removed_from_cart', 'cart_viewed')

),

-- Adds and removes have one line; cart views have all lines.
lines as (

    select
        {{ event_columns | join(', ') }},
        1 as element_number,
        cart_line as element
    from events
    where cart_line is not null

    union all

    {{ numbered_elements('events', 'cart_lines', event_columns) }}

),

extracted as (

    select
        *,
        {{ json_texts('element', line_fields.values() | list) }} as texts
    from lines

),

named as (

    select
        event_key,
        shop,
        event_id,
        event_at,
        local_date,
        client_id,
        session_id,
        case event_name
            when 'product_added_to_cart' then 'add'
            when 'product_removed_from_cart' then 'remove'
            else 'view'
        end as action,
        element_number as line_number,
        {{ json_columns('texts', line_fields) }}
    from extracted

),

typed as (

    select
        *,
        {{ whole_number('quantity') }} as units,
        {{ money('unit_price') }} as price
    from named

)

select
    {{ surrogate_key(['shop', 'event_id', 'line_number']) }} as cart_action_id,
    event_key,
    shop,
    event_at,
    local_date,
    client_id,
    session_id,
    action,
    cast(line_number as bigint) as line_number,
    {{ shopify_id('product_gid') }} as product_id,
    {{ shopify_id('variant_gid') }} as variant_id,
    nullif(sku, '') as sku,
    coalesce(nullif(untranslated_title, ''), product_title) as product_title,
    units as quantity,
    price as unit_price,
    coalesce({{ money('amount') }}, {{ money(times('price', 'units')) }}) as amount,
    coalesce(cost_currency, price_currency) as currency
from typed
