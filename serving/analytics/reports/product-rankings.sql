-- title: Product rankings
-- description: Top viewed, top converting (with enough cases and a confidence bound) and most abandoned products, in the shortest window of 7, 30 or 90 days that is at least as long as the period (90 days for a longer one), ending today.
-- filters:
-- ranking: Ranking
-- product_rank: Rank
-- product_id: Product id
-- title: Product
-- cases: Cases | count
-- hits: Hits | count
-- rate: Rate | share
-- window_days: Window, days | count

with

rankings as (

    select * from analytics.product_rankings
    where shop = $shop

),

windows as (

    select coalesce(
        (select min(window_days) from rankings where window_days >= $days),
        (select max(window_days) from rankings)
    ) as window_days

)

select
    rankings.ranking,
    rankings.product_rank,
    rankings.product_id,
    coalesce(products.title, rankings.product_id) as title,
    rankings.cases,
    rankings.hits,
    rankings.rate,
    rankings.window_days
from rankings
inner join windows on rankings.window_days = windows.window_days
left join core.products as products on rankings.shop = products.shop and rankings.product_id = products.product_id
where rankings.product_rank <= 20
order by rankings.ranking, rankings.product_rank
