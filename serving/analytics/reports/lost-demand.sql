-- title: Lost demand
-- description: Products viewed while they could not be bought, and the sales probably missed, with a 95 % interval: people times the product's conversion rate while it could be bought.
-- filters:
-- product_id: Product id
-- title: Product
-- spells: Times sold out | count
-- sold_out_now: Sold out now
-- views: Views while sold out | count
-- people: People, per spell | count
-- people_came_back: Came back | count
-- people_bought_when_back: Bought when back | count
-- currency: Currency
-- missed_sales_amount: Probably missed | money
-- missed_sales_lower_amount: At least | money
-- missed_sales_upper_amount: At most | money

select
    demand.product_id,
    coalesce(max(products.title), demand.product_id) as title,
    count(*) as spells,
    bool_or(demand.back_in_stock_at is null) as sold_out_now,
    cast(sum(demand.views) as bigint) as views,
    cast(sum(demand.people) as bigint) as people,
    cast(sum(demand.people_came_back) as bigint) as people_came_back,
    cast(sum(demand.people_bought_when_back) as bigint) as people_bought_when_back,
    demand.currency,
    sum(demand.missed_sales_amount) as missed_sales_amount,
    sum(demand.missed_sales_lower_amount) as missed_sales_lower_amount,
    sum(demand.missed_sales_upper_amount) as missed_sales_upper_amount
from analytics.lost_demand as demand
left join core.products as products on demand.shop = products.shop and demand.product_id = products.product_id
where demand.shop = $shop and demand.local_date between $first and $last
group by demand.product_id, demand.currency
order by missed_sales_amount desc nulls last, views desc, demand.product_id
