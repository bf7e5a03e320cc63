{{ config(materialized='table') }}

{% set fields = {
    'title': '$.title',
    'sku': '$.sku',
    'position': '$.position',
    'price': '$.price',
    'compare_at_price': '$.compareAtPrice',
    'is_available': '$.availableForSale',
    'inventory_quantity': '$.inventoryQuantity',
    'inventory_policy': '$.inventoryPolicy',
    'unit_cost': '$.inventoryItem.unitCost.amount',
    'unit_cost_currency': '$.inventoryItem.unitCost.currencyCode',
    'created_at': '$.createdAt',
    'updated_at': '$.updatedAt',
} %}

with

answers as (

    select
        shop,
        {{ shopify_id('id') }} as variant_id,
        {{ shopify_id('parent_id') }} as product_id,
        cast(fetched_at as timestamp) as fetched_at,
        {{ json_texts('node', fields.values() | list) }} as texts
    from {{ source('shopify', 'variants') }}
    where {{ is_built('shop') }}

),

named as (

    select
        shop,
        variant_id,
        product_id,
        fetched_at,
        {{ json_columns('texts', fields) }}
    from answers

)

-- A load that was killed after its commit is loaded again, so rows may be duplicated.
select distinct
    shop,
    variant_id,
    product_id,
    fetched_at,
    title,
    nullif(sku, '') as sku,
    {{ whole_number('position') }} as position,
    {{ money('price') }} as price,
    {{ money('compare_at_price') }} as compare_at_price,
    try_cast(is_available as boolean) as is_available,
    {{ whole_number('inventory_quantity') }} as inventory_quantity,
    inventory_policy,
    {{ money('unit_cost') }} as unit_cost,
    unit_cost_currency,
    {{ utc_timestamp('created_at') }} as created_at,
    {{ utc_timestamp('updated_at') }} as updated_at
from named
where variant_id is not null and product_id is not null
