with

as_of as (

    select * from {{ ref('int_as_of') }}

),

baskets as (

    select distinct
        shop,
        order_key,
        product_id
    from {{ ref('order_items') }}
    where product_id is not null

),

-- Wholesale orders say nothing about what belongs together, and would make pairs by the thousand.
basket_sizes as (

    select
        shop,
        order_key,
        count(*) as products
    from baskets
    group by shop, order_key
    having count(*) <= {{ var('max_basket_products') }}

),

orders_per_shop as (

    select
        shop,
        count(*) as orders
    from basket_sizes
    group by shop

),

orders_per_product as (

    select
        baskets.shop,
        baskets.product_id,
        count(*) as orders
    from baskets
    inner join basket_sizes on baskets.order_key = basket_sizes.order_key
    group by baskets.shop, baskets.product_id

),

-- A pair in a small basket says more than one in a large basket: its weight falls with the basket's size.
pairs as (

    select
        one.shop,
        one.product_id,
        other.product_id as recommended_product_id,
        count(*) as orders_together,
        -- Exact decimals: the sum must not depend on the order in which rows come.
        sum(cast(1 / power(ln(1 + basket_sizes.products), 2) as decimal(18, 9))) as weighted_orders
    from baskets as one
    inner join baskets as other on one.order_key = other.order_key and one.product_id <> other.product_id
    inner join basket_sizes on one.order_key = basket_sizes.order_key
    group by one.shop, one.product_id, other.product_id

),

measured as (

    select
        pairs.shop,
        pairs.product_id,
        pairs.recommended_product_id,
        pairs.orders_together,
        round(cast(pairs.weighted_orders as double) / one.orders, 9) as score,
        round(pairs.orders_together / cast(one.orders as double), 9) as confidence,
        round(pairs.orders_together * orders_per_shop.orders / (cast(one.orders as double) * other.orders), 9) as lift
    from pairs
    inner join orders_per_product as one
        on pairs.shop = one.shop and pairs.product_id = one.product_id
    inner join orders_per_product as other
        on pairs.shop = other.shop and pairs.recommended_product_id = other.product_id
    inner join orders_per_shop on pairs.shop = orders_per_shop.shop

),

eligible as (

    select
        measured.*,
        row_number() over (
            partition by measured.shop, measured.product_id
            order by measured.score desc, measured.orders_together desc, measured.recommended_product_id
        ) as recommendation_rank
    from measured
    inner join {{ ref('products') }} as products
        on measured.shop = products.shop and measured.recommended_product_id = products.product_id
    where
        measured.orders_together >= {{ var('min_orders_together') }}
        and measured.lift > 1
        and products.is_published
        and products.is_available

)

select
    {{ surrogate_key(['eligible.shop', 'eligible.product_id', 'eligible.recommended_product_id']) }} as pair_key,
    eligible.shop,
    eligible.product_id,
    eligible.recommended_product_id,
    eligible.recommendation_rank,
    eligible.score,
    eligible.orders_together,
    eligible.confidence,
    eligible.lift,
    as_of.as_of as computed_at
from eligible
cross join as_of
where eligible.recommendation_rank <= {{ var('bought_together_limit') }}
