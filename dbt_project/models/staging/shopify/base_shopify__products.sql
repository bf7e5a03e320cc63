{{ config(materialized='table') }}

{% set fields = {
    'title': '$.title',
    'handle': '$.handle',
    'description_html': '$.descriptionHtml',
    'vendor': '$.vendor',
    'product_type': '$.productType',
    'tags': '$.tags',
    'status': '$.status',
    'is_gift_card': '$.isGiftCard',
    'url': '$.onlineStoreUrl',
    'image_url': '$.featuredMedia.preview.image.url',
    'created_at': '$.createdAt',
    'updated_at': '$.updatedAt',
} %}

with

answers as (

    select
        shop,
        {{ shopify_id('id') }} as product_id,
        cast(fetched_at as timestamp) as fetched_at,
        {{ json_texts('node', fields.values() | list) }} as texts
    from {{ source('shopify', 'products') }}
    where {{ is_built('shop') }}

),

named as (

    select
        shop,
        product_id,
        fetched_at,
        {{ json_columns('texts', fields) }}
    from answers

)

-- A load that was killed after its commit is loaded again, so rows may be duplicated.
select distinct
    shop,
    product_id,
    fetched_at,
    title,
    handle,
    nullif(description_html, '') as description_html,
    nullif(vendor, '') as vendor,
    nullif(product_type, '') as product_type,
    tags,
    status,
    try_cast(is_gift_card as boolean) as is_gift_card,
    url,
    image_url,
    {{ utc_timestamp('created_at') }} as created_at,
    {{ utc_timestamp('updated_at') }} as updated_at
from named
where product_id is not null
