{#-
    Customers who may be profiled: spending, RFM scores (quintiles of recency, frequency and monetary value) and the
    resulting segment.
-#}

{{ config(materialized='view') }}

with

today as (

    select * from {{ ref('int_shop_today') }}

),

journeys as (

    select journeys.*
    from {{ ref('user_journeys') }} as journeys
    inner join {{ ref('int_permissions') }} as permissions on journeys.journey_id = permissions.journey_id
    where permissions.may_be_profiled

),

orders as (

    select * from {{ ref('orders') }}
    where journey_id is not null and not is_test

),

spent as (

    select
        journey_id,
        currency,
        count(*) as orders,
        sum(gross_total_amount) as amount
    from orders
    where currency is not null
    group by journey_id, currency

),

-- Amounts in different currencies are never added: use the currency of most of the person's orders.
main_currencies as (

    select
        journey_id,
        {{ earliest('currency', ['-orders', 'currency']) }} as currency,
        count(*) as currencies
    from spent
    group by journey_id

),

bought_in_all as (

    select
        journey_id,
        count(*) as orders,
        min(ordered_at) as first_ordered_at,
        max(ordered_at) as last_ordered_at,
        max(local_date) as last_order_date
    from orders
    group by journey_id

),

customers as (

    select
        bought_in_all.*,
        journeys.shop,
        main_currencies.currency,
        main_currencies.currencies,
        spent.amount,
        {{ elapsed('day', 'bought_in_all.last_order_date', 'today.today') }} as days_since_last_order
    from bought_in_all
    inner join journeys on bought_in_all.journey_id = journeys.journey_id
    left join today on journeys.shop = today.shop
    left join main_currencies on bought_in_all.journey_id = main_currencies.journey_id
    left join spent
        on main_currencies.journey_id = spent.journey_id and main_currencies.currency = spent.currency

),

-- Quintiles of a shop's customers, 5 is best; ties get the same score.
scored as (

    select
        *,
        5 - cast(floor(4.999 * percent_rank() over (partition by shop order by days_since_last_order)) as integer)
            as recency_score,
        1 + cast(floor(4.999 * percent_rank() over (partition by shop order by orders)) as integer) as frequency_score,
        1 + cast(
            floor(4.999 * percent_rank() over (partition by shop, currency order by coalesce(amount, 0))) as integer
        ) as monetary_score
    from customers

)

select
    journey_id,
    shop,
    orders,
    first_ordered_at,
    last_ordered_at,
    days_since_last_order,
    currency,
    currencies,
    amount,
    recency_score,
    frequency_score,
    monetary_score,
    {{ rfm_segment('recency_score', 'frequency_score', 'orders') }} as segment
from scored
