-- title: What recommendations sell
-- description: Lists seen, clicks and attributed sales by placement and strategy. Direct: the line property, or the clicked product bought within the window. View-through: seen, not clicked, bought. Never add the two.
-- filters:
-- source: Source
-- placement: Placement
-- strategy: Strategy
-- items_seen: Items seen | count
-- items_clicked: Items clicked | count
-- item_click_rate: Click-through rate | share
-- direct_orders: Direct orders | count
-- currency: Currency
-- direct_gross_sales: Direct sales, gross | money
-- direct_net_sales: Direct sales, net | money
-- view_through_net_sales: View-through sales, net | money

select
    source,
    placement,
    strategy,
    cast(sum(items_seen) as bigint) as items_seen,
    cast(sum(items_clicked) as bigint) as items_clicked,
    cast(sum(items_clicked) as double) / nullif(sum(items_seen), 0) as item_click_rate,
    cast(sum(direct_orders) as bigint) as direct_orders,
    currency,
    sum(direct_gross_sales) as direct_gross_sales,
    sum(direct_net_sales) as direct_net_sales,
    sum(view_through_net_sales) as view_through_net_sales
from recommendations.effectiveness
where shop = $shop and local_date between $first and $last and level = 'strategy'
group by source, placement, strategy, currency
order by source, placement, items_seen desc, strategy, currency
