with

variants as (

    select * from {{ source('catalogue', 'variants') }}
    where {{ is_built('shop') }}

),

products as (

    select * from {{ ref('stg_catalogue__products') }}

)

-- A load that was killed after its commit is loaded again, so rows may be duplicated.
select distinct
    variants.shop,
    products.handle,
    variants.variant_id,
    variants.position,
    variants.title,
    nullif(trim(leading chr(39) from variants.sku), '') as sku,
    {{ money('variants.price') }} as price,
    {{ money('variants.compare_at_price') }} as compare_at_price,
    variants.is_available,
    variants.inventory_quantity,
    variants.inventory_policy,
    products.is_deleted
from variants
inner join products
    on
        variants.shop = products.shop
        and variants.handle = products.handle_in_file
        and variants.fetched_at = products.fetched_at
