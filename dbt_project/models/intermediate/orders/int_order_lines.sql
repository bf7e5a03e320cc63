{#- The lines of every checkout_completed event; which of these events is the order, int_orders_deduplicated says. -#}

{{ config(
    materialized='incremental',
    incremental_strategy='replace_touched',
    incremental_predicates=["event_key in (select touched.event_key from intermediate.int_touched_events as touched)"],
) }}

{% set line_fields = {
    'line_title': '$.title',
    'variant_gid': '$.variant.id',
    'product_gid': '$.variant.product.id',
    'sku': '$.variant.sku',
    'product_title': '$.variant.product.title',
    'untranslated_title': '$.variant.product.untranslatedTitle',
    'variant_title': '$.variant.title',
    'untranslated_variant_title': '$.variant.untranslatedTitle',
    'vendor': '$.variant.product.vendor',
    'product_type': '$.variant.product.type',
    'image_url': '$.variant.image.src',
    'quantity': '$.quantity',
    'unit_price': '$.variant.price.amount',
    'final_line_price': '$.finalLinePrice.amount',
} %}
{% set event_columns = ['event_key', 'shop', 'currency'] %}

with

touched as (

    select * from {{ ref('int_touched_events') }}

),

completed as (

    select
        {{ event_columns | join(', ') }},
        {{ json_array('lines', '$') }} as line_items
    from {{ ref('int_checkout_events') }}
    where
        event_name = 'checkout_completed'
        and {{ in_touched('event_key', 'touched', 'event_key') }}

),

lines as (

    {{ numbered_elements('completed', 'line_items', event_columns) }}

),

extracted as (

    select
        *,
        {{ json_array('element', '$.discountAllocations') }} as allocations,
        {{ json_texts('element', line_fields.values() | list) }} as texts
    from lines

),

-- A line may have several discounts.
discounts as (

    {{ numbered_elements(
        '(select event_key, element_number as line_number, allocations from extracted) as allocated',
        'allocations',
        ['event_key', 'line_number']
    ) }}

),

line_discounts as (

    select
        event_key,
        line_number,
        sum({{ money(json_text('element', '$.amount.amount')) }}) as discount_amount
    from discounts
    group by event_key, line_number

),

named as (

    select
        {{ event_columns | join(', ') }},
        element_number as line_number,
        {{ json_columns('texts', line_fields) }}
    from extracted

),

typed as (

    select
        named.event_key,
        named.shop,
        named.currency,
        cast(named.line_number as bigint) as line_number,
        {{ shopify_id('named.product_gid') }} as product_id,
        {{ shopify_id('named.variant_gid') }} as variant_id,
        nullif(named.sku, '') as sku,
        coalesce(nullif(named.untranslated_title, ''), named.product_title, named.line_title) as product_title,
        coalesce(nullif(named.untranslated_variant_title, ''), named.variant_title) as variant_title,
        nullif(named.vendor, '') as vendor,
        nullif(named.product_type, '') as product_type,
        named.image_url,
        {{ whole_number('named.quantity') }} as quantity,
        {{ money('named.unit_price') }} as unit_price,
        {{ money('named.final_line_price') }} as final_line_price,
        coalesce({{ money('line_discounts.discount_amount') }}, 0) as discount_amount
    from named
    left join line_discounts
        on
            named.event_key = line_discounts.event_key
            and named.line_number = line_discounts.line_number

)

select
    *,
    -- Older pixels do not send the line's final price.
    coalesce(final_line_price, {{ money(times('unit_price', 'quantity') ~ ' - discount_amount') }}) as amount
from typed
