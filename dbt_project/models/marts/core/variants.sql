with

shopify_variants as (

    select * from {{ ref('stg_shopify__variants') }}

),

catalogue_variants as (

    select * from {{ ref('int_catalogue_variants') }}

),

seen_variants as (

    select * from {{ ref('int_variants_seen') }}

),

shops as (

    select * from {{ ref('shops') }}

),

catalogue_shops as (

    select * from {{ ref('int_catalogue_shops') }}

),

ids as (

    select
        shop,
        variant_id
    from shopify_variants

    union

    select
        shop,
        variant_id
    from catalogue_variants

    union

    select
        shop,
        variant_id
    from seen_variants

),

-- Field by field, the Admin API takes precedence, then the file, then events. Prices come from whichever of the first
-- two was read last; existence comes from the last complete reading.
combined as (

    select
        ids.shop,
        ids.variant_id,
        coalesce(shopify_variants.product_id, catalogue_variants.product_id, seen_variants.product_id) as product_id,
        coalesce(shopify_variants.title, catalogue_variants.title, seen_variants.title) as title,
        coalesce(shopify_variants.sku, catalogue_variants.sku, seen_variants.sku) as sku,
        coalesce(shopify_variants.position, catalogue_variants.position) as position,
        coalesce(
            case when catalogue_shops.source = 'catalogue_file' then catalogue_variants.price end,
            shopify_variants.price,
            catalogue_variants.price,
            seen_variants.price
        ) as price,
        case
            when catalogue_shops.source = 'catalogue_file' and catalogue_variants.variant_id is not null
                then catalogue_variants.compare_at_price
            when shopify_variants.variant_id is not null then shopify_variants.compare_at_price
            else catalogue_variants.compare_at_price
        end as compare_at_price,
        coalesce(
            case when catalogue_shops.source = 'catalogue_file' then catalogue_variants.is_available end,
            shopify_variants.is_available,
            catalogue_variants.is_available,
            true
        ) as is_available,
        coalesce(shopify_variants.inventory_quantity, catalogue_variants.inventory_quantity) as inventory_quantity,
        coalesce(shopify_variants.inventory_policy, catalogue_variants.inventory_policy) as inventory_policy,
        case
            when catalogue_shops.complete_source = 'admin_api' and shopify_variants.variant_id is not null
                then shopify_variants.is_deleted
            when catalogue_shops.complete_source = 'catalogue_file' and catalogue_variants.variant_id is not null
                then catalogue_variants.is_deleted
            when catalogue_shops.complete_read_at is null then coalesce(shopify_variants.is_deleted, false)
            else
                coalesce(seen_variants.last_seen_at <= catalogue_shops.complete_read_at, true)
                and coalesce(catalogue_variants.last_read_at <= catalogue_shops.complete_read_at, true)
        end as is_deleted,
        shopify_variants.deleted_at,
        shopify_variants.unit_cost,
        shopify_variants.unit_cost_currency,
        shopify_variants.created_at,
        shopify_variants.updated_at,
        case
            when shopify_variants.variant_id is not null then 'admin_api'
            when catalogue_variants.variant_id is not null then 'catalogue_file'
            else 'events'
        end as source
    from ids
    left join shopify_variants on ids.shop = shopify_variants.shop and ids.variant_id = shopify_variants.variant_id
    left join
        catalogue_variants
        on ids.shop = catalogue_variants.shop and ids.variant_id = catalogue_variants.variant_id
    left join catalogue_shops on ids.shop = catalogue_shops.shop
    left join seen_variants on ids.shop = seen_variants.shop and ids.variant_id = seen_variants.variant_id

)

select
    {{ surrogate_key(['combined.shop', 'combined.variant_id']) }} as variant_key,
    combined.shop,
    combined.variant_id,
    combined.product_id,
    combined.title,
    combined.sku,
    cast(combined.position as bigint) as position,
    combined.price,
    combined.compare_at_price,
    case when combined.unit_cost_currency = shops.currency then combined.unit_cost end as unit_cost,
    shops.currency,
    combined.is_available and not combined.is_deleted as is_available,
    cast(combined.inventory_quantity as bigint) as inventory_quantity,
    combined.inventory_policy,
    combined.is_deleted,
    combined.deleted_at,
    combined.created_at,
    combined.updated_at,
    combined.source
from combined
left join shops on combined.shop = shops.shop
