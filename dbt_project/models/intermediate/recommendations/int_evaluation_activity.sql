{#-
    How often each product was viewed and bought in the days that the tried lists were made of: what their coverage and
    novelty are measured against, each list against its own kind. A product's page shows both, hence `either`.
-#}

with

windows as (

    {{ last_days(var('view_window_days'), var('evaluation_days')) }}

),

order_windows as (

    {{ last_days(var('order_window_days'), var('evaluation_days')) }}

),

counted as (

    select
        pairs.shop,
        'view' as kind,
        pairs.product_id,
        pairs.sessions as times
    from {{ ref('int_view_pairs_daily') }} as pairs
    inner join windows
        on pairs.shop = windows.shop and pairs.local_date between windows.first_date and windows.last_date
    where pairs.product_id = pairs.other_product_id

    union all

    select
        pairs.shop,
        'purchase' as kind,
        pairs.product_id,
        pairs.orders as times
    from {{ ref('int_order_pairs_daily') }} as pairs
    inner join order_windows
        on
            pairs.shop = order_windows.shop
            and pairs.local_date between order_windows.first_date and order_windows.last_date
    where pairs.product_id = pairs.other_product_id

)

select
    shop,
    kind,
    product_id,
    cast(sum(times) as bigint) as times
from counted
group by shop, kind, product_id

union all

select
    shop,
    'either' as kind,
    product_id,
    cast(sum(times) as bigint) as times
from counted
group by shop, product_id
