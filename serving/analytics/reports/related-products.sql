-- title: Viewed and bought together
-- description: The lists of one product, in the order shown.
-- filters: product_id
-- strategy: List
-- position: Position | count
-- product_id: Product id
-- title: Product
-- support: Orders or sessions with both | count
-- reason: Reason

with

lists as (

    select
        shop,
        strategy,
        product_id,
        recommended_product_id,
        position,
        support,
        reason
    from recommendations.related_products
    where shop = $shop and product_id = $product_id

    union all

    select
        shop,
        'product_page' as strategy,
        product_id,
        recommended_product_id,
        position,
        support,
        reason
    from recommendations.product_page
    where shop = $shop and product_id = $product_id

)

select
    lists.strategy,
    lists.position,
    lists.recommended_product_id as product_id,
    coalesce(products.title, lists.recommended_product_id) as title,
    lists.support,
    lists.reason
from lists
left join core.products as products
    on lists.shop = products.shop and lists.recommended_product_id = products.product_id
where lists.position <= 12
order by lists.strategy, lists.position
