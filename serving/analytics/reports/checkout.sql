-- title: Checkout steps
-- description: Checkouts that reached each step, those that ended there, and their value.
-- filters:
-- step: Step
-- checkouts: Checkouts | count
-- abandoned: Ended here | count
-- abandoned_share: Share that ended here | share
-- currency: Currency
-- value_at_risk: Value at risk | money

select
    step,
    cast(sum(checkouts) as bigint) as checkouts,
    cast(sum(abandoned) as bigint) as abandoned,
    cast(sum(abandoned) as double) / nullif(sum(checkouts), 0) as abandoned_share,
    currency,
    sum(value_at_risk) as value_at_risk
from analytics.checkout_funnel
where shop = $shop and local_date between $first and $last
group by step_number, step, currency
order by currency, step_number
