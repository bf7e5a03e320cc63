-- title: Time to first purchase
-- description: People with a first order in the period, by days between their first session and the order.
-- filters:
-- days_range: Days
-- persons: People | count
-- share: Share | share

with

firsts as (

    select
        orders.journey_id,
        greatest(date_diff('second', journeys.first_seen_at, min(orders.ordered_at)) / 86400.0, 0) as days
    from core.orders as orders
    inner join core.user_journeys as journeys
        on orders.shop = journeys.shop and orders.journey_id = journeys.journey_id
    where orders.shop = $shop and not orders.is_test and not orders.is_bot
    group by orders.journey_id, journeys.first_seen_at
    having min(orders.local_date) between $first and $last

),

ranged as (

    select
        case
            when days < 1 / 24.0 then 1
            when days < 1 then 2
            when days < 3 then 3
            when days < 7 then 4
            when days < 30 then 5
            else 6
        end as range_number
    from firsts

)

select
    case range_number
        when 1 then 'under 1 hour'
        when 2 then 'under 1 day'
        when 3 then '1 to 3 days'
        when 4 then '3 to 7 days'
        when 5 then '7 to 30 days'
        else '30 days or more'
    end as days_range,
    count(*) as persons,
    cast(count(*) as double) / (select count(*) from ranged) as share
from ranged
group by range_number
order by range_number
