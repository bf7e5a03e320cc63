-- title: Cohorts by month
-- description: Members of each month's cohort who returned in later months, with their orders and sales. Visitors are grouped by first session, customers by first order.
-- filters:
-- cohort_kind: Cohort of
-- cohort_month: Month
-- months_since: Months since | count
-- members: Members | count
-- active_members: Active | count
-- retention_rate: Retention | share
-- orders: Orders | count
-- repeat_orders: Repeat orders | count
-- currency: Currency
-- cumulative_sales_amount: Sales so far | money

select
    cohort_kind,
    cohort_month,
    months_since,
    members,
    active_members,
    retention_rate,
    orders,
    repeat_orders,
    currency,
    cumulative_sales_amount
from analytics.cohorts
where shop = $shop and segment_kind = 'all'
order by cohort_kind, cohort_month, currency, months_since
