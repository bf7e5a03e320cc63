-- title: Landing pages
-- description: Sessions that began on each page, their orders, and what their visitors spent within 90 days. Attributed sales credit each order by position (40/20/40).
-- filters:
-- landing_path: Landing page
-- sessions: Sessions | count
-- bounce_rate: Bounce rate | share
-- product_rate: Product viewed | share
-- orders: Orders in the session | count
-- currency: Currency
-- sales_amount: Sales in the session | money
-- sales_90_days_amount: Sales to these visitors in 90 days | money
-- position_based_sales_amount: Attributed sales | money

select
    coalesce(landing_path, 'unknown') as landing_path,
    cast(sum(sessions) as bigint) as sessions,
    cast(sum(bounces) as double) / nullif(sum(sessions), 0) as bounce_rate,
    cast(sum(product_sessions) as double) / nullif(sum(sessions), 0) as product_rate,
    cast(sum(orders) as bigint) as orders,
    currency,
    sum(sales_amount) as sales_amount,
    sum(sales_90_days_amount) as sales_90_days_amount,
    sum(position_based_sales_amount) as position_based_sales_amount
from analytics.landing_pages
where shop = $shop and local_date between $first and $last
group by coalesce(landing_path, 'unknown'), currency
order by sessions desc, landing_path, currency
limit 500
