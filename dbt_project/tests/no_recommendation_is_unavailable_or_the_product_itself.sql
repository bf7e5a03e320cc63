select pairs.pair_key
from {{ ref('bought_together') }} as pairs
left join {{ ref('products') }} as products
    on pairs.shop = products.shop and pairs.recommended_product_id = products.product_id
where
    pairs.product_id = pairs.recommended_product_id
    or products.product_key is null
    or not products.is_published
    or not products.is_available
