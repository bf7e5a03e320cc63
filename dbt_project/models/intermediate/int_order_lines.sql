{% set line_fields = {
    'line_title': '$.title',
    'variant_gid': '$.variant.id',
    'product_gid': '$.variant.product.id',
    'sku': '$.variant.sku',
    'product_title': '$.variant.product.title',
    'variant_title': '$.variant.title',
    'vendor': '$.variant.product.vendor',
    'product_type': '$.variant.product.type',
    'image_url': '$.variant.image.src',
    'quantity': '$.quantity',
    'unit_price': '$.variant.price.amount',
    'final_line_price': '$.finalLinePrice.amount',
} %}
{% set order_columns = ['order_key', 'shop', 'order_id', 'event_key', 'ordered_at', 'currency'] %}

with

orders as (

    select
        {{ order_columns | join(', ') }},
        {{ json_array('event', '$.data.checkout.lineItems') }} as line_items
    from {{ ref('int_orders_deduplicated') }}

),

lines as (

    {{ numbered_elements('orders', 'line_items', order_columns) }}

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
        '(select order_key, element_number as line_number, allocations from extracted) as allocated',
        'allocations',
        ['order_key', 'line_number']
    ) }}

),

line_discounts as (

    select
        order_key,
        line_number,
        sum({{ money(json_text('element', '$.amount.amount')) }}) as discount_amount
    from discounts
    group by order_key, line_number

),

named as (

    select
        {{ order_columns | join(', ') }},
        element_number as line_number,
        {{ json_columns('texts', line_fields) }}
    from extracted

),

typed as (

    select
        named.order_key,
        named.shop,
        named.order_id,
        named.event_key,
        named.ordered_at,
        named.currency,
        cast(named.line_number as bigint) as line_number,
        {{ shopify_id('named.product_gid') }} as product_id,
        {{ shopify_id('named.variant_gid') }} as variant_id,
        nullif(named.sku, '') as sku,
        coalesce(named.product_title, named.line_title) as product_title,
        named.variant_title,
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
            named.order_key = line_discounts.order_key
            and named.line_number = line_discounts.line_number

)

select
    {{ surrogate_key(['shop', 'order_id', 'line_number']) }} as order_item_id,
    *,
    -- Older pixels do not send the line's final price.
    {{ money('coalesce(final_line_price, unit_price * quantity - discount_amount)') }} as amount
from typed
