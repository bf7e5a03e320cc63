with

months as (

    select * from {{ ref('int_journey_months') }}

),

journeys as (

    select * from {{ ref('user_journeys') }}

),

today as (

    select
        shop,
        cast({{ dbt.date_trunc('month', 'today') }} as date) as this_month
    from {{ ref('int_shop_today') }}

),

-- Visitors belong to the month of their first visit, customers to the month of their first order.
members as (

    select
        shop,
        'visitors' as cohort_kind,
        journey_id,
        min(activity_month) as cohort_month
    from months
    where sessions > 0
    group by shop, journey_id

    union all

    select
        shop,
        'customers' as cohort_kind,
        journey_id,
        min(activity_month) as cohort_month
    from months
    where orders > 0
    group by shop, journey_id

),

segmented as (

    select
        members.*,
        'all' as segment_kind,
        'all' as segment
    from members

    {% for segment_kind, column in {'channel': 'first_touch_channel', 'device': 'first_device'}.items() %}
        union all

        select
            members.*,
            '{{ segment_kind }}' as segment_kind,
            coalesce(journeys.{{ column }}, 'unknown') as segment
        from members
        inner join journeys on members.journey_id = journeys.journey_id
    {% endfor %}

),

sizes as (

    select
        shop,
        cohort_kind,
        cohort_month,
        segment_kind,
        segment,
        count(*) as members
    from segmented
    group by shop, cohort_kind, cohort_month, segment_kind, segment

),

-- Every period until now has a row, including those without activity.
spans as (

    select
        sizes.shop,
        min(sizes.cohort_month) as first_date,
        min(today.this_month) as last_date
    from sizes
    inner join today on sizes.shop = today.shop
    group by sizes.shop

),

calendar as (

    {{ every_period('month', 'spans') }}

),

periods as (

    select
        sizes.*,
        calendar.period as activity_month
    from sizes
    inner join calendar on sizes.shop = calendar.shop and sizes.cohort_month <= calendar.period

),

activity as (

    select
        segmented.shop,
        segmented.cohort_kind,
        segmented.cohort_month,
        segmented.segment_kind,
        segmented.segment,
        months.activity_month,
        count(
            case
                when segmented.cohort_kind = 'visitors' and months.sessions > 0 then 1
                when segmented.cohort_kind = 'customers' and months.orders > 0 then 1
            end
        ) as active_members,
        cast(sum(months.orders) as bigint) as orders,
        cast(sum(months.repeat_orders) as bigint) as repeat_orders,
        sum(months.sales_amount) as sales_amount
    from segmented
    inner join months
        on segmented.journey_id = months.journey_id and months.activity_month >= segmented.cohort_month
    group by
        segmented.shop, segmented.cohort_kind, segmented.cohort_month, segmented.segment_kind, segmented.segment,
        months.activity_month

)

{% set cohort = 'periods.shop, periods.cohort_kind, periods.cohort_month, periods.segment_kind, periods.segment' %}

select
    {{ surrogate_key([
        'periods.shop', 'periods.cohort_kind', 'periods.cohort_month', 'periods.segment_kind', 'periods.segment',
        'periods.activity_month'
    ]) }} as cohort_key,
    periods.shop,
    periods.cohort_kind,
    periods.cohort_month,
    periods.segment_kind,
    periods.segment,
    {{ elapsed('month', 'periods.cohort_month', 'periods.activity_month') }} as months_since,
    periods.members,
    coalesce(activity.active_members, 0) as active_members,
    cast(coalesce(activity.active_members, 0) as double) / periods.members as retention_rate,
    coalesce(activity.orders, 0) as orders,
    coalesce(activity.repeat_orders, 0) as repeat_orders,
    shops.currency,
    {{ total('coalesce(activity.sales_amount, 0)') }} as sales_amount,
    {{ total(
        'sum(coalesce(activity.sales_amount, 0)) over (partition by ' ~ cohort ~ ' order by periods.activity_month'
        ~ ' rows between unbounded preceding and current row)'
    ) }} as cumulative_sales_amount
from periods
left join activity
    on
        periods.shop = activity.shop
        and periods.cohort_kind = activity.cohort_kind
        and periods.cohort_month = activity.cohort_month
        and periods.segment_kind = activity.segment_kind
        and periods.segment = activity.segment
        and periods.activity_month = activity.activity_month
left join {{ ref('shops') }} as shops on periods.shop = shops.shop
