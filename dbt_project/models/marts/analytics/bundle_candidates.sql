{#-
    Pairs, and triples of which every pair is a candidate (Agrawal and Srikant 1994: no set is more frequent than its
    subsets). Wholesale orders and order riders are left out, as in recommendations.
-#}

with

baskets as (

    select * from {{ ref('int_baskets') }}
    where products <= {{ var('max_basket_products') }}

),

totals as (

    select
        shop,
        cast(count(distinct order_key) as double) as orders
    from baskets
    group by shop

),

counts as (

    select
        shop,
        product_id,
        other_product_id,
        cast(sum(orders) as bigint) as orders
    from {{ ref('int_order_pairs_daily') }}
    group by shop, product_id, other_product_id

),

riders as (

    select * from {{ ref('int_order_riders') }}

),

singles as (

    select
        counts.shop,
        counts.product_id,
        counts.orders
    from counts
    left join riders on counts.shop = riders.shop and counts.product_id = riders.product_id
    where counts.product_id = counts.other_product_id and riders.product_id is null

),

pairs as (

    select
        counts.shop,
        counts.product_id as product_id_1,
        counts.other_product_id as product_id_2,
        counts.orders,
        least(firsts.orders, seconds.orders) as rarest_orders,
        cast(firsts.orders as double) / totals.orders * seconds.orders as expected_orders
    from counts
    inner join singles as firsts on counts.shop = firsts.shop and counts.product_id = firsts.product_id
    inner join singles as seconds on counts.shop = seconds.shop and counts.other_product_id = seconds.product_id
    inner join totals on counts.shop = totals.shop
    where counts.product_id < counts.other_product_id and counts.orders >= {{ var('bundle_min_orders') }}

),

ranked_pairs as (

    select
        *,
        row_number() over (partition by shop order by orders desc, product_id_1, product_id_2) as place
    from pairs
    where orders > expected_orders

),

candidate_pairs as (

    select * from ranked_pairs
    where place <= {{ var('bundle_limit') }}

),

pair_orders as (

    select
        candidate_pairs.shop,
        candidate_pairs.product_id_1,
        candidate_pairs.product_id_2,
        firsts.order_key
    from candidate_pairs
    inner join baskets as firsts
        on candidate_pairs.shop = firsts.shop and candidate_pairs.product_id_1 = firsts.product_id
    inner join baskets as seconds
        on firsts.order_key = seconds.order_key and candidate_pairs.product_id_2 = seconds.product_id

),

-- Orders that contain all three pairs of a triple.
triple_orders as (

    select
        pair_orders.shop,
        pair_orders.product_id_1,
        pair_orders.product_id_2,
        others.product_id_2 as product_id_3,
        count(*) as orders
    from pair_orders
    inner join pair_orders as others
        on pair_orders.order_key = others.order_key and pair_orders.product_id_2 = others.product_id_1
    inner join pair_orders as closing
        on
            pair_orders.order_key = closing.order_key
            and pair_orders.product_id_1 = closing.product_id_1
            and others.product_id_2 = closing.product_id_2
    group by pair_orders.shop, pair_orders.product_id_1, pair_orders.product_id_2, others.product_id_2
    having count(*) >= {{ var('bundle_min_orders') }}

),

triples as (

    select
        triple_orders.*,
        least(firsts.orders, seconds.orders, thirds.orders) as rarest_orders,
        cast(firsts.orders as double) / totals.orders * seconds.orders / totals.orders * thirds.orders
            as expected_orders
    from triple_orders
    inner join singles as firsts
        on triple_orders.shop = firsts.shop and triple_orders.product_id_1 = firsts.product_id
    inner join singles as seconds
        on triple_orders.shop = seconds.shop and triple_orders.product_id_2 = seconds.product_id
    inner join singles as thirds
        on triple_orders.shop = thirds.shop and triple_orders.product_id_3 = thirds.product_id
    inner join totals on triple_orders.shop = totals.shop

),

ranked_triples as (

    select
        *,
        row_number() over (
            partition by shop order by orders desc, product_id_1, product_id_2, product_id_3
        ) as place
    from triples
    where orders > expected_orders

),

bundles as (

    select
        shop,
        2 as products,
        product_id_1,
        product_id_2,
        cast(null as {{ dbt.type_string() }}) as product_id_3,
        orders,
        rarest_orders,
        expected_orders
    from candidate_pairs

    union all

    select
        shop,
        3 as products,
        product_id_1,
        product_id_2,
        product_id_3,
        orders,
        rarest_orders,
        expected_orders
    from ranked_triples
    where place <= {{ var('bundle_limit') }}

),

-- The cheapest variant represents the product.
variants as (

    select
        shop,
        product_id,
        price,
        unit_cost,
        row_number() over (partition by shop, product_id order by price, variant_id) as price_rank
    from {{ ref('variants') }}
    where not is_deleted and price is not null

),

cheapest as (

    select * from variants
    where price_rank = 1

),

priced as (

    select
        bundles.*,
        bundles.orders / totals.orders as support,
        firsts.price + seconds.price + case when bundles.products = 3 then thirds.price else 0 end as price_amount,
        firsts.unit_cost + seconds.unit_cost + case when bundles.products = 3 then thirds.unit_cost else 0 end
            as cost_amount
    from bundles
    inner join totals on bundles.shop = totals.shop
    left join cheapest as firsts on bundles.shop = firsts.shop and bundles.product_id_1 = firsts.product_id
    left join cheapest as seconds on bundles.shop = seconds.shop and bundles.product_id_2 = seconds.product_id
    left join cheapest as thirds on bundles.shop = thirds.shop and bundles.product_id_3 = thirds.product_id

)

select
    {{ surrogate_key([
        'priced.shop', 'priced.product_id_1', 'priced.product_id_2', "coalesce(priced.product_id_3, '')"
    ]) }} as bundle_key,
    priced.shop,
    cast(priced.products as bigint) as products,
    priced.product_id_1,
    priced.product_id_2,
    priced.product_id_3,
    priced.orders,
    priced.support,
    priced.orders / priced.expected_orders as lift,
    cast(priced.orders as double) / priced.rarest_orders as attach_rate,
    shops.currency,
    {{ total('priced.price_amount') }} as price_amount,
    {{ total('priced.cost_amount') }} as cost_amount,
    {{ total('priced.price_amount - priced.cost_amount') }} as margin_amount
from priced
left join {{ ref('shops') }} as shops on priced.shop = shops.shop
