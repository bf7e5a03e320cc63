{#- The activity of each journey per month of its shop's calendar: the basis of cohorts. -#}

with

visits as (

    select
        visits.shop,
        visits.journey_id,
        cast({{ dbt.date_trunc('month', 'visits.local_date') }} as date) as activity_month,
        count(*) as sessions
    from {{ ref('int_visits') }} as visits
    inner join {{ ref('int_sessions') }} as sessions on visits.session_id = sessions.session_id
    where not sessions.is_bot
    group by visits.shop, visits.journey_id, cast({{ dbt.date_trunc('month', 'visits.local_date') }} as date)

),

orders as (

    select
        orders.shop,
        orders.journey_id,
        cast({{ dbt.date_trunc('month', 'orders.local_date') }} as date) as activity_month,
        count(*) as orders,
        count(*) filter (where orders.is_repeat_order) as repeat_orders,
        sum(orders.gross_total_amount) filter (where orders.currency = shops.currency) as sales_amount
    from {{ ref('orders') }} as orders
    left join {{ ref('shops') }} as shops on orders.shop = shops.shop
    where orders.journey_id is not null and not orders.is_test
    group by orders.shop, orders.journey_id, cast({{ dbt.date_trunc('month', 'orders.local_date') }} as date)

)

select
    coalesce(visits.shop, orders.shop) as shop,
    coalesce(visits.journey_id, orders.journey_id) as journey_id,
    coalesce(visits.activity_month, orders.activity_month) as activity_month,
    coalesce(visits.sessions, 0) as sessions,
    coalesce(orders.orders, 0) as orders,
    coalesce(orders.repeat_orders, 0) as repeat_orders,
    coalesce(orders.sales_amount, 0) as sales_amount
from visits
full outer join orders
    on visits.journey_id = orders.journey_id and visits.activity_month = orders.activity_month
