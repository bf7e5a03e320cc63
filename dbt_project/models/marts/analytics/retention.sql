with

weeks as (

    select
        visits.shop,
        visits.journey_id,
        cast({{ dbt.date_trunc('week', 'visits.local_date') }} as date) as activity_week,
        count(*) as sessions,
        sum(sessions.product_views) as product_views
    from {{ ref('int_visits') }} as visits
    inner join {{ ref('int_sessions') }} as sessions on visits.session_id = sessions.session_id
    where not sessions.is_bot
    group by visits.shop, visits.journey_id, cast({{ dbt.date_trunc('week', 'visits.local_date') }} as date)

),

members as (

    select
        shop,
        journey_id,
        min(activity_week) as cohort_week
    from weeks
    group by shop, journey_id

),

sizes as (

    select
        shop,
        cohort_week,
        count(*) as members
    from members
    group by shop, cohort_week

),

-- Every week until now has a row, including those without visits.
spans as (

    select
        sizes.shop,
        min(sizes.cohort_week) as first_date,
        min(today.today) as last_date
    from sizes
    inner join {{ ref('int_shop_today') }} as today on sizes.shop = today.shop
    group by sizes.shop

),

calendar as (

    {{ every_period('week', 'spans') }}

),

activity as (

    select
        members.shop,
        members.cohort_week,
        weeks.activity_week,
        count(*) as active_members,
        cast(sum(weeks.sessions) as bigint) as sessions,
        cast(sum(weeks.product_views) as bigint) as product_views
    from members
    inner join weeks on members.journey_id = weeks.journey_id
    group by members.shop, members.cohort_week, weeks.activity_week

)

select
    {{ surrogate_key(['sizes.shop', 'sizes.cohort_week', 'calendar.period']) }} as retention_key,
    sizes.shop,
    sizes.cohort_week,
    calendar.period as activity_week,
    cast({{ elapsed('day', 'sizes.cohort_week', 'calendar.period') }} / 7 as bigint) as weeks_since,
    sizes.members,
    coalesce(activity.active_members, 0) as active_members,
    cast(coalesce(activity.active_members, 0) as double) / sizes.members as retention_rate,
    coalesce(activity.sessions, 0) as sessions,
    coalesce(activity.product_views, 0) as product_views
from sizes
inner join calendar on sizes.shop = calendar.shop and sizes.cohort_week <= calendar.period
left join activity
    on
        sizes.shop = activity.shop
        and sizes.cohort_week = activity.cohort_week
        and calendar.period = activity.activity_week
