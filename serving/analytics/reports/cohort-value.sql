-- title: Value of customers by first month
-- description: Lifetime value so far of the people who first ordered in each month, gross and net of refunds. Margins cover only people whose unit costs are known.
-- filters:
-- cohort_month: First month
-- months_since: Months since | count
-- people: People | count
-- currency: Currency
-- gross_amount_per_person: Gross per person | money
-- net_amount_per_person: Net per person | money
-- margin_amount_per_person: Margin per person | money
-- returning_gross_amount: Returning sales of the month | money

select
    cohort_month,
    months_since,
    people,
    currency,
    gross_amount_per_person,
    net_amount_per_person,
    margin_amount_per_person,
    returning_gross_amount
from analytics.customer_cohorts
where shop = $shop and dimension = 'all'
order by cohort_month, currency, months_since
