{% set z = 1.96 %}

with

windows as (

    select * from {{ ref('int_windows') }}

),

daily as (

    select * from {{ ref('daily_product') }}

),

carts as (

    select * from {{ ref('carts') }}

),

cart_products as (

    select * from {{ ref('int_cart_products') }}

),

sums as (

    select
        windows.shop,
        windows.window_days,
        daily.product_id,
        cast(sum(daily.views) as bigint) as views,
        cast(sum(daily.orders) as bigint) as orders
    from windows
    inner join daily
        on windows.shop = daily.shop and daily.local_date between windows.first_date and windows.last_date
    group by windows.shop, windows.window_days, daily.product_id

),

left_in_carts as (

    select
        windows.shop,
        windows.window_days,
        cart_products.product_id,
        count(*) as carts,
        count(*) filter (where carts.cart_state = 'abandoned' and cart_products.quantity_left > 0) as abandoned_carts
    from windows
    inner join carts on windows.shop = carts.shop and carts.local_date between windows.first_date and windows.last_date
    inner join cart_products on carts.session_id = cart_products.session_id
    where cart_products.product_id is not null
    group by windows.shop, windows.window_days, cart_products.product_id

),

viewed as (

    select
        shop,
        window_days,
        'viewed' as ranking,
        product_id,
        cast(views as double) as score,
        views as cases,
        views as hits,
        cast(null as double) as rate
    from sums
    where views > 0

),

-- Ranked by the lower bound of the rate's 95 % interval (Wilson), so that 1 order from 1 view does not rank as 100 %.
converting as (

    select
        shop,
        window_days,
        'converting' as ranking,
        product_id,
        {{ wilson_lower_bound('least(orders, views)', 'views', z) }} as score,
        views as cases,
        orders as hits,
        cast(least(orders, views) as double) / views as rate
    from sums
    where views >= {{ var('ranking_min_cases') }}

),

abandoned as (

    select
        shop,
        window_days,
        'abandoned' as ranking,
        product_id,
        {{ wilson_lower_bound('abandoned_carts', 'carts', z) }} as score,
        carts as cases,
        abandoned_carts as hits,
        cast(abandoned_carts as double) / carts as rate
    from left_in_carts
    where carts >= {{ var('ranking_min_carts') }} and abandoned_carts > 0

),

together as (

    select * from viewed

    union all

    select * from converting

    union all

    select * from abandoned

),

ranked as (

    select
        *,
        row_number() over (
            partition by shop, window_days, ranking
            order by score desc, cases desc, product_id
        ) as product_rank
    from together

)

select
    {{ surrogate_key(['shop', 'window_days', 'ranking', 'product_id']) }} as ranking_key,
    shop,
    cast(window_days as bigint) as window_days,
    ranking,
    product_rank,
    product_id,
    {{ rounded("score", 9) }} as score,
    cases,
    hits,
    rate
from ranked
where product_rank <= {{ var('ranking_limit') }}
