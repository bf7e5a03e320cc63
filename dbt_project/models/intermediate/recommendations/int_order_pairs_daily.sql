{#- What was bought in the same orders of a day: like int_view_pairs_daily. -#}

{{ config(
    materialized='incremental',
    incremental_strategy='replace_touched',
    incremental_predicates=[days_of_this_run()],
) }}

with

baskets as (

    -- Wholesale orders say nothing about what belongs together, and would make pairs by the thousand.
    select * from {{ ref('int_baskets') }}
    where products <= {{ var('max_basket_products') }} and {{ is_day_of_this_run('shop', 'local_date') }}

)

select
    one.shop,
    one.local_date,
    one.product_id,
    other.product_id as other_product_id,
    count(*) as orders,
    -- A pair in a small basket says more than one in a large basket.
    cast(sum(cast(1 / power(ln(1 + one.products), 2) as decimal(18, 9))) as decimal(18, 9)) as weight
from baskets as one
inner join baskets as other on one.order_key = other.order_key and one.product_id <= other.product_id
group by one.shop, one.local_date, one.product_id, other.product_id
