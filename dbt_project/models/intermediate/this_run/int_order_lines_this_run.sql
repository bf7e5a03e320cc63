{#-
    The lines of the checkout_completed events that this run rebuilds, as sent. int_orders_deduplicated decides which event
    is the order.
-#}

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
{% set allocation_fields = {
    'amount': '$.amount.amount',
    'target_type': '$.discountApplication.targetType',
    'target_selection': '$.discountApplication.targetSelection',
    'allocation_method': '$.discountApplication.allocationMethod',
    'discount_type': '$.discountApplication.type',
} %}
{% set event_columns = ['event_key', 'shop', 'currency'] %}

with

changed as (

    select * from {{ ref('int_events_changed_this_run') }}

),

completed as (

    select
        {{ event_columns | join(', ') }},
        {{ json_array('lines', '$') }} as line_items
    from {{ ref('int_checkout_events') }}
    where
        event_name = 'checkout_completed'
        and {{ is_of_this_run('event_key', 'event_key', 'changed') }}

),

lines as (

    {{ numbered_elements('completed', 'line_items', event_columns) }}

),

extracted as (

    select
        *,
        {{ json_part('element', '$.discountAllocations') }} is not null as names_discounts,
        {{ json_array('element', '$.discountAllocations') }} as allocations,
        {{ json_array('element', '$.properties') }} as properties,
        {{ json_texts('element', line_fields.values() | list) }} as texts
    from lines

),

-- A line may have several discounts.
allocated as (

    {{ numbered_elements(
        '(select event_key, element_number as line_number, allocations from extracted) as allocated',
        'allocations',
        ['event_key', 'line_number']
    ) }}

),

allocation_texts as (

    select
        event_key,
        line_number,
        {{ json_texts('element', allocation_fields.values() | list) }} as texts
    from allocated

),

allocations as (

    select
        event_key,
        line_number,
        {{ json_columns('texts', allocation_fields) }}
    from allocation_texts

),

-- An order discount is allocated across all lines, a line discount to the entitled lines. A code that applies to some
-- lines may or may not be included in their final price.
classified as (

    select
        event_key,
        line_number,
        {{ money('amount') }} as amount,
        case
            when upper(target_selection) = 'ALL' and upper(coalesce(allocation_method, 'ACROSS')) = 'ACROSS'
                then 'order'
            when
                upper(target_selection) in ('ENTITLED', 'EXPLICIT')
                and upper(coalesce(allocation_method, 'EACH')) <> 'ACROSS'
                and upper(coalesce(discount_type, 'AUTOMATIC')) <> 'DISCOUNT_CODE'
                then 'line'
            else 'unclear'
        end as discount_level
    from allocations
    where upper(coalesce(target_type, 'LINE_ITEM')) <> 'SHIPPING_LINE'

),

line_discounts as (

    select
        event_key,
        line_number,
        sum(amount) filter (where discount_level = 'order') as order_level_amount,
        sum(amount) filter (where discount_level = 'unclear') as unclear_amount,
        sum(amount) as discount_amount
    from classified
    group by event_key, line_number

),

properties as (

    {{ numbered_elements(
        '(select event_key, element_number as line_number, properties from extracted) as with_properties',
        'properties',
        ['event_key', 'line_number']
    ) }}

),

-- The recommendation that brought the line into the cart, as the storefront snippet reports it.
recommended as (

    select
        event_key,
        line_number,
        max({{ label(json_text('element', '$.value')) }}) as recommendation
    from properties
    where {{ json_text('element', '$.key') }} = '_pixelnova_rec'
    group by event_key, line_number

),

named as (

    select
        {{ event_columns | join(', ') }},
        element_number as line_number,
        names_discounts,
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
        named.names_discounts,
        recommended.recommendation,
        coalesce({{ money('line_discounts.order_level_amount') }}, 0) as order_level_amount,
        coalesce({{ money('line_discounts.unclear_amount') }}, 0) as unclear_amount,
        coalesce({{ money('line_discounts.discount_amount') }}, 0) as discount_amount
    from named
    left join line_discounts
        on
            named.event_key = line_discounts.event_key
            and named.line_number = line_discounts.line_number
    left join recommended
        on
            named.event_key = recommended.event_key
            and named.line_number = recommended.line_number

),

-- Wide decimals: sums and differences of the largest amounts that anyone can send must not overflow.
priced as (

    select
        *,
        cast(final_line_price as decimal(28, 4)) as final_amount,
        {{ times('unit_price', 'quantity') }} as gross_amount
    from typed

)

-- The line amount in each interpretation; the subtotal decides which one is used (int_order_amounts). Older pixels do
-- not send the final line price.
select
    event_key,
    shop,
    currency,
    line_number,
    product_id,
    variant_id,
    sku,
    product_title,
    variant_title,
    vendor,
    product_type,
    image_url,
    quantity,
    unit_price,
    final_line_price,
    recommendation,
    names_discounts,
    discount_amount,
    coalesce(final_amount, gross_amount - discount_amount) as amount_as_sent,
    coalesce(final_amount - order_level_amount, gross_amount - discount_amount) as amount_less_order_discounts,
    coalesce(final_amount - order_level_amount - unclear_amount, gross_amount - discount_amount)
        as amount_less_unclear_discounts,
    coalesce(final_amount, gross_amount) - discount_amount as amount_less_all_discounts,
    coalesce(final_amount, gross_amount) as amount_before_discounts
from priced
