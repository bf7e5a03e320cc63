-- Checks against the catalogue itself, not the eligibility table.
with

shown as (

    {{ every_list() }}

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
