with

today as (

    select * from {{ ref('int_shop_today') }}

),

visits as (

    select
        visits.shop,
        visits.journey_id,
        visits.local_date,
        cast({{ dbt.date_trunc('month', 'visits.local_date') }} as date) as local_month
    from {{ ref('int_visits') }} as visits
    inner join {{ ref('int_sessions') }} as sessions on visits.session_id = sessions.session_id
    where not sessions.is_bot

),

visitor_days as (

    select
        shop,
        local_month,
        journey_id,
        count(distinct local_date) as days
    from visits
    group by shop, local_month, journey_id

),

months as (

    select
        shop,
        local_month,
        count(*) as visitors,
        cast(sum(days) as bigint) as visitor_days
    from visitor_days
    group by shop, local_month

),

-- Days of the month that the shop's events cover.
starts as (

    select
        shop,
        min(local_date) as first_date
    from visits
    group by shop

),

covered as (

    select
        months.*,
        1 + {{ elapsed(
            'day',
            'greatest(months.local_month, starts.first_date)',
            'least(' ~ dbt.last_day('months.local_month', 'month') ~ ', today.today)'
        ) }} as days
    from months
    inner join starts on months.shop = starts.shop
    inner join today on months.shop = today.shop
    where months.local_month <= today.today  -- a browser whose clock is fast may visit in the next month

),

first_visits as (

    select
        shop,
        journey_id,
        cast({{ dbt.date_trunc('month', 'min(local_date)') }} as date) as local_month
    from visits
    group by shop, journey_id

),

first_orders as (

    select distinct
        journey_id,
        days_to_first_order
    from {{ ref('int_customer_value') }}
    where days_to_first_order is not null

),

arrivals as (

    select
        first_visits.shop,
        first_visits.local_month,
        count(*) as new_visitors,
        count(first_orders.journey_id) as new_visitors_who_ordered,
        percentile_cont(0.5) within group (order by first_orders.days_to_first_order) as median_days,
        percentile_cont(0.75) within group (order by first_orders.days_to_first_order) as upper_quartile_days
    from first_visits
    left join first_orders on first_visits.journey_id = first_orders.journey_id
    group by first_visits.shop, first_visits.local_month

)

select
    {{ surrogate_key(['covered.shop', 'covered.local_month']) }} as stickiness_key,
    covered.shop,
    covered.local_month,
    cast(covered.days as bigint) as days,
    covered.visitors,
    cast(covered.visitor_days as double) / covered.days as daily_visitors,
    cast(covered.visitor_days as double) / covered.days / covered.visitors as stickiness,
    coalesce(arrivals.new_visitors, 0) as new_visitors,
    coalesce(arrivals.new_visitors_who_ordered, 0) as new_visitors_who_ordered,
    cast(arrivals.median_days as double) as median_days_to_first_order,
    cast(arrivals.upper_quartile_days as double) as upper_quartile_days_to_first_order
from covered
left join arrivals on covered.shop = arrivals.shop and covered.local_month = arrivals.local_month
