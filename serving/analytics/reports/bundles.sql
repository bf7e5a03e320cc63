-- title: Bundle candidates
-- description: Pairs and triples of products that are ordered together more often than by chance.
-- filters:
-- bundle: Products
-- orders: Orders | count
-- lift: Lift | ratio
-- attach_rate: Attach rate | share
-- currency: Currency
-- price_amount: Price | money
-- margin_amount: Margin | money

select
    concat_ws(
        ' + ',
        coalesce(first_product.title, bundles.product_id_1),
        coalesce(second_product.title, bundles.product_id_2),
        coalesce(third_product.title, bundles.product_id_3)
    ) as bundle,
    bundles.orders,
    bundles.lift,
    bundles.attach_rate,
    bundles.currency,
    bundles.price_amount,
    bundles.margin_amount
from analytics.bundle_candidates as bundles
left join core.products as first_product
    on bundles.shop = first_product.shop and bundles.product_id_1 = first_product.product_id
left join core.products as second_product
    on bundles.shop = second_product.shop and bundles.product_id_2 = second_product.product_id
left join core.products as third_product
    on bundles.shop = third_product.shop and bundles.product_id_3 = third_product.product_id
where bundles.shop = $shop
order by bundles.orders desc, bundles.lift desc, bundle
limit 100
