{#-
    Frequently bought together: confidence, with pairs in small baskets weighted more. Pairs no more frequent than chance
    are filtered out by lift, but lift does not rank: it would put the rarest pairs first.
-#}

{% set half_life = var('order_half_life_days') %}

with

windows as (

    select * from {{ ref('int_training_windows') }}

),

bought_products as (

    select * from {{ ref('int_bought_products') }}

),

totals as (

    select
        windows.trained_for,
        pairs.shop,
        pairs.product_id,
        pairs.other_product_id,
        cast(sum(pairs.orders) as bigint) as orders,
        cast(sum({{ decayed('pairs.weight', 'pairs.local_date', 'windows.last_date', half_life) }}) as double) as weight
    from {{ ref('int_order_pairs_daily') }} as pairs
    inner join windows
        on
            pairs.shop = windows.shop
            and pairs.local_date between windows.first_order_date and windows.last_date
    where pairs.product_id <> pairs.other_product_id
    group by windows.trained_for, pairs.shop, pairs.product_id, pairs.other_product_id

),

directed as (

    select
        trained_for,
        shop,
        product_id,
        other_product_id as recommended_product_id,
        orders as support,
        weight
    from totals

    union all

    select
        trained_for,
        shop,
        other_product_id as product_id,
        product_id as recommended_product_id,
        orders as support,
        weight
    from totals

),

orders_of_shops as (

    select
        windows.trained_for,
        baskets.shop,
        count(distinct baskets.order_key) as orders
    from {{ ref('int_baskets') }} as baskets
    inner join windows
        on
            baskets.shop = windows.shop
            and baskets.local_date between windows.first_order_date and windows.last_date
    where baskets.products <= {{ var('max_basket_products') }}
    group by windows.trained_for, baskets.shop

),

measured as (

    select
        directed.trained_for,
        directed.shop,
        directed.product_id,
        directed.recommended_product_id,
        directed.support,
        {{ rounded("directed.support / cast(seeds.orders as double)", 9) }} as confidence,
        {{ rounded("directed.support * orders_of_shops.orders / (cast(seeds.orders as double) * shown.orders)", 9) }}
            as lift,
        {{ rounded("directed.weight / nullif(seeds.recent_orders, 0)", 9) }} as score
    from directed
    inner join bought_products as seeds
        on
            directed.trained_for = seeds.trained_for
            and directed.shop = seeds.shop
            and directed.product_id = seeds.product_id
    inner join bought_products as shown
        on
            directed.trained_for = shown.trained_for
            and directed.shop = shown.shop
            and directed.recommended_product_id = shown.product_id
    inner join orders_of_shops
        on directed.trained_for = orders_of_shops.trained_for and directed.shop = orders_of_shops.shop
    where directed.support >= {{ var('min_orders_together') }}

),

candidates as (

    select * from measured
    where lift > 1

),

{{ best_of_each_list(
    'candidates', ['trained_for', 'shop', 'product_id'], var('list_limit'), is_backtest="trained_for = 'backtest'"
) }}

select
    trained_for,
    shop,
    product_id,
    recommended_product_id,
    position,
    score,
    support,
    confidence,
    lift
from listed
