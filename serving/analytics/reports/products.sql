-- title: Products
-- description: Views, carts, purchases and sales of each product in the period. Rates are per view. Sales are amounts of order lines after discounts, in the shop's currency, without test orders.
-- filters:
-- product_id: Product id
-- title: Product
-- image_url: Image | image
-- product_type: Type
-- views: Views | count
-- add_to_cart_rate: Add-to-cart rate | share
-- purchase_rate: Purchase rate | share
-- orders: Orders | count
-- units: Units | count
-- currency: Currency
-- sales_amount: Sales | money
-- views_by_day: Views by day | series
-- stock: Stock | count
-- is_available: Available

with

days as (

    select * from analytics.daily_product
    where shop = $shop and local_date between $first and $last

),

stocks as (

    select
        product_id,
        sum(inventory_quantity) as stock
    from core.variants
    where shop = $shop and not is_deleted
    group by product_id

),

calendar as (

    select cast(unnest(generate_series($first, $last, interval 1 day)) as date) as local_date

),

series as (

    select
        products.product_id,
        list(coalesce(days.views, 0) order by calendar.local_date) as views_by_day
    from (select distinct product_id from days) as products
    cross join calendar
    left join days on products.product_id = days.product_id and calendar.local_date = days.local_date
    group by products.product_id

),

sums as (

    select
        product_id,
        currency,
        sum(views) as views,
        sum(cart_adds) as cart_adds,
        sum(orders) as orders,
        sum(units) as units,
        sum(sales_amount) as sales_amount
    from days
    group by product_id, currency

)

select
    sums.product_id,
    coalesce(products.title, sums.product_id) as title,
    products.image_url,
    products.product_type,
    cast(sums.views as bigint) as views,
    cast(sums.cart_adds as double) / nullif(sums.views, 0) as add_to_cart_rate,
    cast(sums.orders as double) / nullif(sums.views, 0) as purchase_rate,
    cast(sums.orders as bigint) as orders,
    cast(sums.units as bigint) as units,
    sums.currency,
    sums.sales_amount,
    series.views_by_day,
    cast(stocks.stock as bigint) as stock,
    products.is_available
from sums
inner join series on sums.product_id = series.product_id
left join core.products as products on products.shop = $shop and sums.product_id = products.product_id
left join stocks on sums.product_id = stocks.product_id
order by sums.views desc, sums.sales_amount desc, sums.product_id
limit 1000
