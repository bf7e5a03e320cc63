{#- All lists in one format: list, item and reason. serving/eligibility_check.py does the final eligibility check. -#}

with

related_products as (

    select * from {{ ref('related_products') }}

),

product_page as (

    select * from {{ ref('product_page') }}

),

popular_products as (

    select * from {{ ref('popular_products') }}

),

cards as (

    select * from {{ ref('product_cards') }}

),

offered as (

    select
        shop,
        strategy,
        product_id as list,
        position,
        recommended_product_id,
        cast(score as double) as score,
        strategy as reason_code,
        support,
        confidence,
        lift
    from related_products

    union all

    select
        shop,
        'product_page' as strategy,
        product_id as list,
        position,
        recommended_product_id,
        1 / cast(position as double) as score,
        strategy as reason_code,
        support,
        confidence,
        lift
    from product_page

    union all

    select
        shop,
        strategy,
        scope || '/' || scope_value as list,
        position,
        recommended_product_id,
        cast(score as double) as score,
        case when scope = 'shop' then strategy else strategy || '_in_' || scope end as reason_code,
        support,
        cast(null as double) as confidence,
        cast(null as double) as lift
    from popular_products

)

select
    offered.*,
    cards.gid,
    cards.handle,
    cards.title,
    cards.vendor,
    cards.product_type,
    cards.url,
    cards.image,
    cards.price_amount,
    cards.price_currency,
    cards.has_metafield
from offered
left join cards on offered.shop = cards.shop and offered.recommended_product_id = cards.product_id
