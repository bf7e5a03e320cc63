{#-
    Product data for lists and files, for eligible and ineligible products. URLs may come from events, which anyone can
    send and which carry shoppers' query parameters: the page URL is built from the handle, and images must be on
    Shopify's or the shop's hosts.
-#}

with

products as (

    select
        shop,
        product_id,
        handle,
        title,
        vendor,
        product_type,
        image_url,
        lower(regexp_extract(image_url, '^https://([^/?#:]+)/', 1)) as image_host,
        price_min,
        currency,
        source,
        is_deleted
    from {{ ref('products') }}

),

hosts as (

    select * from {{ ref('stg_shops__hosts') }}

),

eligibility as (

    select
        shop,
        product_id,
        diversity_group
    from {{ ref('eligibility') }}

),

viewed as (

    select
        shop,
        product_id,
        again
    from {{ ref('int_viewed_products') }}
    where trained_for = 'now'

),

identified as (

    select
        products.*,
        case
            when {{ matches('products.product_id', "'^[0-9]+$'") }} then 'gid://shopify/Product/' || products.product_id
        end as gid
    from products

)

select
    identified.shop,
    identified.product_id,
    identified.gid,
    identified.handle,
    identified.title,
    identified.vendor,
    identified.product_type,
    '/products/' || identified.handle as url,
    case
        when identified.image_host = 'cdn.shopify.com' or hosts.host is not null then identified.image_url
    end as image,
    {{ amount_text('identified.price_min') }} as price_amount,
    case when identified.price_min is not null then identified.currency end as price_currency,
    eligibility.diversity_group,
    coalesce(viewed.again, 0) as again,
    not identified.is_deleted as is_seed,
    not identified.is_deleted and identified.source <> 'events' and identified.gid is not null as has_metafield
from identified
left join hosts on identified.shop = hosts.shop and identified.image_host = hosts.host
left join eligibility on identified.shop = eligibility.shop and identified.product_id = eligibility.product_id
left join viewed on identified.shop = viewed.shop and identified.product_id = viewed.product_id
