{#-
    Products of catalogue files, with the id that events use for them. A CSV has no ids: a product is matched by its
    handle, which is part of its page URL, or else by the SKU of a variant. Until an event matches, the handle serves as
    the id.
-#}

with

products as (

    select * from {{ ref('stg_catalogue__products') }}

),

variants as (

    select * from {{ ref('stg_catalogue__variants') }}

),

known_products as (

    select
        shop,
        {{ handle_name('handle') }} as handle,
        product_id,
        is_deleted,
        true as is_certain,
        0 as recent_mentions
    from {{ ref('stg_shopify__products') }}

    union all

    select
        seen.shop,
        seen.handle,
        seen.product_id,
        replaced.product_id is not null as is_deleted,
        false as is_certain,
        seen.recent_mentions
    from {{ ref('int_products_seen') }} as seen
    left join {{ ref('int_products_replaced') }} as replaced
        on seen.shop = replaced.shop and seen.product_id = replaced.product_id

),

-- A handle may have been reused for another product: prefer the one that still exists, then the one that shoppers view.
ranked_handles as (

    select
        *,
        row_number() over (
            partition by shop, handle
            order by
                is_deleted,
                is_certain desc,
                recent_mentions desc nulls last,
                length(product_id) desc,
                product_id desc
        ) as choice_rank
    from known_products
    where handle is not null

),

by_handle as (

    select
        shop,
        handle,
        product_id
    from ranked_handles
    where choice_rank = 1

),

known_variants as (

    select
        shop,
        sku,
        product_id
    from {{ ref('int_variants_seen') }}

    union

    select
        shop,
        sku,
        product_id
    from {{ ref('stg_shopify__variants') }}

),

-- A SKU shared by several products does not identify one.
known_skus as (

    select
        shop,
        sku,
        min(product_id) as product_id
    from known_variants
    where sku is not null
    group by shop, sku
    having count(distinct product_id) = 1

),

by_sku as (

    select
        variants.shop,
        variants.handle,
        min(known_skus.product_id) as product_id
    from variants
    inner join known_skus on variants.shop = known_skus.shop and variants.sku = known_skus.sku
    group by variants.shop, variants.handle
    having count(distinct known_skus.product_id) = 1

),

identified as (

    select
        products.shop,
        products.handle,
        coalesce(products.product_id, by_handle.product_id, by_sku.product_id) as known_id,
        case
            when products.product_id is not null then 1
            when by_handle.product_id is not null then 2
            else 3
        end as certainty,
        products.is_deleted
    from products
    left join by_handle on products.shop = by_handle.shop and products.handle = by_handle.handle
    left join by_sku on products.shop = by_sku.shop and products.handle = by_sku.handle

),

-- Two handles may match one product after a rename: prefer the one that still exists, then the more certain match.
ranked as (

    select
        *,
        row_number() over (partition by shop, known_id order by is_deleted, certainty, handle) as choice_rank
    from identified

)

select
    products.shop,
    case
        when ranked.choice_rank = 1 and ranked.known_id is not null then ranked.known_id
        else 'handle:' || products.handle
    end
        as product_id,
    products.handle,
    products.title,
    products.description_html,
    products.vendor,
    products.product_type,
    products.tags,
    products.status,
    products.is_gift_card,
    products.is_published,
    products.is_deleted,
    products.read_at as last_read_at,
    products.image_url,
    products.created_at,
    products.updated_at
from products
inner join ranked on products.shop = ranked.shop and products.handle = ranked.handle
