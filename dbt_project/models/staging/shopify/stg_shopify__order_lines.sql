{% set fields = {
    'title': '$.title',
    'sku': '$.sku',
    'product_gid': '$.product.id',
    'variant_gid': '$.variant.id',
    'quantity': '$.quantity',
    'discounted_amount': '$.discountedTotalSet.presentmentMoney.amount',
} %}

with

answers as (

    select
        shop,
        {{ shopify_id('id') }} as line_id,
        {{ shopify_id('parent_id') }} as order_id,
        fetched_at,
        {{ json_texts('node', fields.values() | list) }} as texts
    from {{ source('shopify', 'order_lines') }}
    where {{ is_built('shop') }}

),

named as (

    select
        shop,
        line_id,
        order_id,
        fetched_at,
        {{ json_columns('texts', fields) }}
    from answers

),

numbered as (

    select
        *,
        row_number() over (partition by shop, order_id, line_id order by fetched_at desc) as age_rank
    from named
    where line_id is not null and order_id is not null

)

select
    {{ surrogate_key(['shop', 'order_id', 'line_id']) }} as order_line_key,
    shop,
    order_id,
    line_id,
    {{ shopify_id('product_gid') }} as product_id,
    {{ shopify_id('variant_gid') }} as variant_id,
    title,
    nullif(sku, '') as sku,
    {{ whole_number('quantity') }} as quantity,
    {{ money('discounted_amount') }} as discounted_amount
from numbered
where age_rank = 1
