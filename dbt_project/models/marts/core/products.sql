with

shopify_products as (

    select * from {{ ref('stg_shopify__products') }}

),

shopify_variants as (

    select
        shop,
        product_id,
        min(price) as price_min,
        max(price) as price_max,
        max(case when is_available then 1 else 0 end) = 1 as is_available,
        count(*) as variants
    from {{ ref('stg_shopify__variants') }}
    group by shop, product_id

),

products_seen as (

    select * from {{ ref('int_products_seen') }}

),

shops as (

    select * from {{ ref('shops') }}

),

shops_with_catalogue as (

    select distinct shop from shopify_products

),

-- The Admin API knows best. Of a product that it does not know we have what events say; if it knows the shop at all,
-- such a product is no longer sold.
combined as (

    select
        coalesce(shopify_products.shop, products_seen.shop) as shop,
        coalesce(shopify_products.product_id, products_seen.product_id) as product_id,
        coalesce(shopify_products.title, products_seen.title) as title,
        coalesce(shopify_products.handle, regexp_extract(products_seen.url, '/products/([^/?#]+)', 1)) as handle,
        coalesce(shopify_products.vendor, products_seen.vendor) as vendor,
        coalesce(shopify_products.product_type, products_seen.product_type) as product_type,
        shopify_products.status,
        coalesce(shopify_products.is_published, shops_with_catalogue.shop is null) as is_published,
        coalesce(shopify_variants.is_available, shops_with_catalogue.shop is null) as is_available,
        coalesce(shopify_variants.price_min, products_seen.price) as price_min,
        coalesce(shopify_variants.price_max, products_seen.price) as price_max,
        case when shopify_variants.price_min is null then products_seen.currency end as seen_currency,
        shopify_variants.variants,
        coalesce(shopify_products.url, products_seen.url) as url,
        coalesce(shopify_products.image_url, products_seen.image_url) as image_url,
        shopify_products.created_at,
        shopify_products.updated_at,
        case when shopify_products.product_id is null then 'events' else 'admin_api' end as source
    from shopify_products
    full outer join products_seen
        on shopify_products.shop = products_seen.shop and shopify_products.product_id = products_seen.product_id
    left join shopify_variants
        on shopify_products.shop = shopify_variants.shop and shopify_products.product_id = shopify_variants.product_id
    left join shops_with_catalogue
        on coalesce(shopify_products.shop, products_seen.shop) = shops_with_catalogue.shop

)

select
    {{ surrogate_key(['combined.shop', 'combined.product_id']) }} as product_key,
    combined.shop,
    combined.product_id,
    combined.title,
    nullif(combined.handle, '') as handle,
    combined.vendor,
    combined.product_type,
    combined.status,
    combined.is_published,
    combined.is_available,
    combined.price_min,
    combined.price_max,
    coalesce(combined.seen_currency, shops.currency) as currency,
    combined.variants,
    combined.url,
    combined.image_url,
    combined.created_at,
    combined.updated_at,
    combined.source
from combined
left join shops on combined.shop = shops.shop
