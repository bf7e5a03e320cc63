{#-
    Variants of catalogue files, with the id that events use for them, matched by SKU or title within the product.
    A SKU that several variants share identifies none of them.
-#}

with

variants as (

    select * from {{ ref('stg_catalogue__variants') }}

),

products as (

    select * from {{ ref('int_catalogue_products') }}

),

known as (

    select
        shop,
        variant_id,
        product_id,
        sku,
        title
    from {{ ref('int_variants_seen') }}

    union

    select
        shop,
        variant_id,
        product_id,
        sku,
        title
    from {{ ref('stg_shopify__variants') }}

),

with_product as (

    select
        variants.*,
        count(*) over (partition by variants.shop, variants.handle, variants.sku) = 1 as is_only_one_with_sku,
        products.product_id,
        products.last_read_at
    from variants
    inner join products on variants.shop = products.shop and variants.handle = products.handle

),

by_sku as (

    select
        shop,
        product_id,
        sku,
        max(variant_id) as variant_id
    from known
    where sku is not null
    group by shop, product_id, sku

),

by_title as (

    select
        shop,
        product_id,
        title,
        max(variant_id) as variant_id
    from known
    where title is not null
    group by shop, product_id, title

),

identified as (

    select
        with_product.*,
        coalesce(with_product.variant_id, by_sku.variant_id, by_title.variant_id) as known_id,
        case
            when with_product.variant_id is not null then 1
            when by_sku.variant_id is not null then 2
            else 3
        end as certainty
    from with_product
    left join by_sku
        on
            with_product.shop = by_sku.shop
            and with_product.product_id = by_sku.product_id
            and with_product.sku = by_sku.sku
            and with_product.is_only_one_with_sku
    left join by_title
        on
            with_product.shop = by_title.shop
            and with_product.product_id = by_title.product_id
            and with_product.title = by_title.title

),

ranked as (

    select
        *,
        row_number() over (partition by shop, known_id order by is_deleted, certainty, handle, position) as choice_rank
    from identified

)

select
    shop,
    case
        when choice_rank = 1 and known_id is not null then known_id
        else 'handle:' || handle || ':' || cast(position as {{ dbt.type_string() }})
    end as variant_id,
    product_id,
    title,
    sku,
    position,
    price,
    compare_at_price,
    is_available,
    inventory_quantity,
    inventory_policy,
    is_deleted,
    last_read_at
from ranked
