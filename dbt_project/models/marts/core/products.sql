with

shopify_products as (

    select * from {{ ref('stg_shopify__products') }}

),

catalogue_products as (

    select * from {{ ref('int_catalogue_products') }}

),

products_seen as (

    select * from {{ ref('int_products_seen') }}

),

replaced as (

    select * from {{ ref('int_products_replaced') }}

),

shops as (

    select * from {{ ref('shops') }}

),

variants_of_products as (

    select
        shop,
        product_id,
        min(price) as price_min,
        max(price) as price_max,
        max(case when is_available then 1 else 0 end) = 1 as is_available,
        count(*) as variants
    from {{ ref('variants') }}
    where not is_deleted and source <> 'events'
    group by shop, product_id

),

catalogue_shops as (

    select * from {{ ref('int_catalogue_shops') }}

),

ids as (

    select
        shop,
        product_id
    from shopify_products

    union

    select
        shop,
        product_id
    from catalogue_products

    union

    select
        shop,
        product_id
    from products_seen

),

-- Field by field, the Admin API takes precedence, then the file, then events. Publication comes from whichever of the
-- first two was read last, existence from the last complete reading: a product that is missing there and in later
-- readings and events is deleted. So is a product that events show as recreated under another id.
combined as (

    select
        ids.shop,
        ids.product_id,
        coalesce(shopify_products.title, catalogue_products.title, products_seen.title) as title,
        coalesce(shopify_products.handle, catalogue_products.handle, products_seen.handle) as handle,
        coalesce(shopify_products.description_html, catalogue_products.description_html) as description_html,
        coalesce(shopify_products.vendor, catalogue_products.vendor, products_seen.vendor) as vendor,
        coalesce(shopify_products.product_type, catalogue_products.product_type, products_seen.product_type)
            as product_type,
        coalesce(shopify_products.tags, catalogue_products.tags) as tags,
        coalesce(shopify_products.status, catalogue_products.status) as status,
        coalesce(shopify_products.is_gift_card, catalogue_products.is_gift_card) as is_gift_card,
        coalesce(
            case when catalogue_shops.source = 'catalogue_file' then catalogue_products.is_published end,
            shopify_products.is_published,
            catalogue_products.is_published,
            true
        ) as is_published,
        case
            when catalogue_shops.complete_source = 'admin_api' and shopify_products.product_id is not null
                then shopify_products.is_deleted
            when catalogue_shops.complete_source = 'catalogue_file' and catalogue_products.product_id is not null
                then catalogue_products.is_deleted
            when
                coalesce(shopify_products.product_id, catalogue_products.product_id) is null
                and replaced.product_id is not null
                then true
            when catalogue_shops.complete_read_at is null then coalesce(shopify_products.is_deleted, false)
            else
                coalesce(products_seen.last_seen_at <= catalogue_shops.complete_read_at, true)
                and coalesce(catalogue_products.last_read_at <= catalogue_shops.complete_read_at, true)
        end as is_deleted,
        shopify_products.deleted_at,
        products_seen.price as seen_price,
        coalesce(shopify_products.url, products_seen.url) as url,
        coalesce(shopify_products.image_url, catalogue_products.image_url, products_seen.image_url) as image_url,
        coalesce(shopify_products.created_at, catalogue_products.created_at) as created_at,
        coalesce(shopify_products.updated_at, catalogue_products.updated_at) as updated_at,
        case
            when shopify_products.product_id is not null then 'admin_api'
            when catalogue_products.product_id is not null then 'catalogue_file'
            else 'events'
        end as source
    from ids
    left join shopify_products on ids.shop = shopify_products.shop and ids.product_id = shopify_products.product_id
    left join catalogue_products
        on ids.shop = catalogue_products.shop and ids.product_id = catalogue_products.product_id
    left join products_seen on ids.shop = products_seen.shop and ids.product_id = products_seen.product_id
    left join replaced on ids.shop = replaced.shop and ids.product_id = replaced.product_id
    left join catalogue_shops on ids.shop = catalogue_shops.shop

)

select
    {{ surrogate_key(['combined.shop', 'combined.product_id']) }} as product_key,
    combined.shop,
    combined.product_id,
    combined.title,
    nullif(combined.handle, '') as handle,
    combined.description_html,
    combined.vendor,
    combined.product_type,
    combined.tags,
    combined.status,
    combined.is_gift_card,
    combined.is_published and not combined.is_deleted as is_published,
    case
        when combined.source = 'events' then not combined.is_deleted
        else coalesce(variants_of_products.is_available, false) and not combined.is_deleted
    end as is_available,
    combined.is_deleted,
    combined.deleted_at,
    coalesce(variants_of_products.price_min, combined.seen_price) as price_min,
    coalesce(variants_of_products.price_max, combined.seen_price) as price_max,
    shops.currency,
    variants_of_products.variants,
    combined.url,
    combined.image_url,
    combined.created_at,
    combined.updated_at,
    combined.source
from combined
left join variants_of_products
    on combined.shop = variants_of_products.shop and combined.product_id = variants_of_products.product_id
left join shops on combined.shop = shops.shop
