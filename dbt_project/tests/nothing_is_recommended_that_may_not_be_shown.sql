-- By the catalogue itself, not by the table of what is eligible.
with

shown as (

    select
        shop,
        'related ' || strategy || ' ' || product_id as list,
        product_id,
        recommended_product_id
    from {{ ref('related_products') }}

    union all

    select
        shop,
        'page ' || product_id as list,
        product_id,
        recommended_product_id
    from {{ ref('product_page') }}

    union all

    select
        shop,
        strategy || ' ' || scope || ' ' || scope_value as list,
        null as product_id,
        recommended_product_id
    from {{ ref('popular_products') }}

    union all

    select
        shop,
        'session ' || session_id as list,
        null as product_id,
        recommended_product_id
    from {{ ref('next_in_session') }}

)

select
    shown.shop,
    shown.list,
    shown.recommended_product_id
from shown
left join {{ ref('products') }} as products
    on shown.shop = products.shop and shown.recommended_product_id = products.product_id
where
    shown.product_id = shown.recommended_product_id
    or products.product_key is null
    or not products.is_published
    or not products.is_available
    or products.is_deleted
    or products.is_gift_card
    or products.price_max = 0
