-- title: Searches
-- description: Search terms in the shortest window of 7, 30 or 90 days that is at least as long as the period (90 days for a longer one), ending today: share without results, share with a click, and later orders.
-- filters:
-- term: Term
-- searches: Searches | count
-- sessions: Sessions | count
-- no_result_rate: Without result | share
-- click_rate: With a click | share
-- refined_to: Refined to
-- orders: Orders | count
-- currency: Currency
-- sales_amount: Sales | money
-- window_days: Window, days | count

with

searches as (

    select * from analytics.searches
    where shop = $shop

),

windows as (

    select coalesce(
        (select min(window_days) from searches where window_days >= $days),
        (select max(window_days) from searches)
    ) as window_days

)

select
    searches.term,
    searches.searches,
    searches.sessions,
    searches.no_result_rate,
    searches.click_rate,
    searches.refined_to,
    searches.orders,
    searches.currency,
    searches.sales_amount,
    searches.window_days
from searches
inner join windows on searches.window_days = windows.window_days
order by searches.searches desc, searches.term, searches.currency
limit 500
