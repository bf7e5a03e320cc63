with

purchases as (

    select * from {{ ref('int_purchases') }}

),

counted as (

    select
        shop,
        item_kind,
        item,
        count(*) as orders,
        count(distinct journey_id) as buyers,
        count(distinct case when days_since_previous is not null then journey_id end) as repeat_buyers,
        count(days_since_previous) as intervals,
        avg(days_since_previous) as mean_days,
        percentile_cont(0.25) within group (order by days_since_previous) as lower_quartile_days,
        percentile_cont(0.5) within group (order by days_since_previous) as median_days,
        percentile_cont(0.75) within group (order by days_since_previous) as upper_quartile_days
    from purchases
    group by shop, item_kind, item

)

select
    {{ surrogate_key(['shop', 'item_kind', 'item']) }} as reorder_interval_key,
    shop,
    item_kind,
    item,
    orders,
    buyers,
    repeat_buyers,
    cast(repeat_buyers as double) / buyers as repeat_rate,
    intervals,
    cast(mean_days as double) as mean_days,
    cast(lower_quartile_days as double) as lower_quartile_days,
    cast(median_days as double) as median_days,
    cast(upper_quartile_days as double) as upper_quartile_days
from counted
