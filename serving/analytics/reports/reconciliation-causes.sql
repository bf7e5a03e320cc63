-- title: Why Shopify's numbers differ from ours
-- description: How many more orders, and how much more in sales, Shopify has than the pixel reported, by cause. The causes add up to the difference.
-- filters:
-- cause: Cause
-- source_name: Sales channel
-- affected_orders: Orders affected | count
-- orders: Difference in orders | count
-- currency: Currency
-- amount: Difference | money

select
    cause,
    source_name,
    cast(sum(affected_orders) as bigint) as affected_orders,
    cast(sum(orders) as bigint) as orders,
    currency,
    sum(amount) as amount
from operations.reconciliation_causes
where shop = $shop and local_date between $first and $last
group by cause, source_name, currency
order by abs(sum(amount)) desc, cause, source_name, currency
