{#- Daily co-purchases, like int_view_pairs_daily. -#}

{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    incremental_predicates=[days_of_this_run()],
) }}

with

baskets as (

    -- Wholesale orders carry no co-purchase signal and would add thousands of pairs.
    select * from {{ ref('int_baskets') }}
    where products <= {{ var('max_basket_products') }} and {{ is_day_of_this_run('shop', 'local_date') }}

)

select
    left_baskets.shop,
    left_baskets.local_date,
    left_baskets.product_id,
    right_baskets.product_id as other_product_id,
    count(*) as orders,
    -- A pair in a small basket is a stronger signal.
    cast(sum({{ exact('1 / power(ln(1 + left_baskets.products), 2)') }}) as decimal(18, 9)) as weight
from baskets as left_baskets
inner join baskets as right_baskets
    on left_baskets.order_key = right_baskets.order_key and left_baskets.product_id <= right_baskets.product_id
group by left_baskets.shop, left_baskets.local_date, left_baskets.product_id, right_baskets.product_id
