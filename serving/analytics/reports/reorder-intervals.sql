-- title: Time until the next order
-- description: Days between two orders of the same product type by one person. Only completed intervals count, so young shops show shorter ones.
-- filters:
-- item: Product type
-- buyers: Buyers | count
-- repeat_rate: Ordered again | share
-- intervals: Intervals | count
-- lower_quartile_days: Lower quartile | days
-- median_days: Median | days
-- upper_quartile_days: Upper quartile | days

select
    item,
    buyers,
    repeat_rate,
    intervals,
    lower_quartile_days,
    median_days,
    upper_quartile_days
from analytics.reorder_intervals
where shop = $shop and item_kind = 'product_type'
order by intervals desc, item
