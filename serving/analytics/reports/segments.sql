-- title: Customer segments
-- description: People by RFM segment (recency, frequency, spending), as of today.
-- filters:
-- segment: Segment
-- persons: People | count
-- orders: Orders | count
-- currency: Currency
-- gross_spent_amount: Spent | money

select
    segment,
    count(*) as persons,
    cast(sum(orders) as bigint) as orders,
    currency,
    sum(gross_spent_amount) as gross_spent_amount
from core.user_profiles
where shop = $shop
group by segment, currency
order by persons desc, segment, currency
