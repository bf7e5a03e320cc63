{% set view_fields = {
    'variant_gid': '$.data.productVariant.id',
    'product_gid': '$.data.productVariant.product.id',
    'sku': '$.data.productVariant.sku',
    'product_title': '$.data.productVariant.product.title',
    'vendor': '$.data.productVariant.product.vendor',
    'product_type': '$.data.productVariant.product.type',
    'url': '$.data.productVariant.product.url',
    'image_url': '$.data.productVariant.image.src',
    'price': '$.data.productVariant.price.amount',
    'currency': '$.data.productVariant.price.currencyCode',
} %}

with

views as (

    select
        event_key,
        shop,
        event_at,
        client_id,
        {{ json_texts('event', view_fields.values() | list) }} as texts
    from {{ ref('stg_pixel__events') }}
    where event_name = 'product_viewed'

),

named as (

    select
        event_key,
        shop,
        event_at,
        client_id,
        {{ json_columns('texts', view_fields) }}
    from views

)

select
    event_key,
    shop,
    event_at,
    client_id,
    {{ shopify_id('product_gid') }} as product_id,
    {{ shopify_id('variant_gid') }} as variant_id,
    nullif(sku, '') as sku,
    product_title,
    nullif(vendor, '') as vendor,
    nullif(product_type, '') as product_type,
    url,
    image_url,
    {{ money('price') }} as price,
    currency
from named
