{#-
    Products of the same collection, type or vendor in the same price band, popular ones first: a fallback for products
    without views or orders.
-#}

with

products as (

    select * from {{ ref('products') }}
    where not is_deleted

),

eligible as (

    select * from {{ ref('eligibility') }}
    where is_eligible

),

popularity as (

    select
        shop,
        product_id,
        viewers,
        popularity_rank
    from {{ ref('int_product_popularity') }}

),

sizes as (

    select
        shop,
        count(*) as products
    from products
    group by shop

),

members as (

    select * from {{ ref('collection_products') }}

),

-- A collection with more than half of the products carries no signal.
telling_collections as (

    select
        members.shop,
        members.collection_id
    from members
    inner join sizes on members.shop = sizes.shop
    group by members.shop, members.collection_id, sizes.products
    having count(*) <= 0.5 * sizes.products

),

traits as (

    select
        shop,
        product_id,
        'type' as trait,
        product_type as trait_value,
        2 as points
    from products
    where product_type is not null

    union all

    select
        shop,
        product_id,
        'vendor' as trait,
        vendor as trait_value,
        1 as points
    from products
    where vendor is not null

    union all

    select
        members.shop,
        members.product_id,
        'collection' as trait,
        members.collection_id as trait_value,
        1 as points
    from members
    inner join telling_collections
        on members.shop = telling_collections.shop and members.collection_id = telling_collections.collection_id

),

-- Only the most popular products per trait, so that the work does not grow quadratically with the catalogue.
leaders as (

    select * from (
        select
            traits.shop,
            traits.product_id,
            traits.trait,
            traits.trait_value,
            traits.points,
            eligible.price_min,
            popularity.popularity_rank,
            popularity.viewers,
            row_number() over (
                partition by
                    traits.shop,
                    traits.trait,
                    traits.trait_value,
                    -- Ranked per doubling of the price, so that every price band has candidates.
                    case when eligible.price_min > 0 then floor(ln(cast(eligible.price_min as double)) / ln(2)) end
                order by popularity.popularity_rank
            ) as trait_rank
        from traits
        inner join eligible on traits.shop = eligible.shop and traits.product_id = eligible.product_id
        inner join popularity on traits.shop = popularity.shop and traits.product_id = popularity.product_id
    ) as ranked
    where trait_rank <= {{ var('similar_candidates') }}

),

shared as (

    select
        traits.shop,
        traits.product_id,
        leaders.product_id as recommended_product_id,
        leaders.trait,
        max(leaders.points) as points,
        min(leaders.popularity_rank) as popularity_rank,
        max(leaders.viewers) as support
    from traits
    inner join products on traits.shop = products.shop and traits.product_id = products.product_id
    inner join leaders
        on
            traits.shop = leaders.shop
            and traits.trait = leaders.trait
            and traits.trait_value = leaders.trait_value
            and traits.product_id <> leaders.product_id
    where
        products.price_min is null
        or leaders.price_min is null
        or leaders.price_min
        between cast(products.price_min as double) / {{ var('price_band') }}
        and cast(products.price_min as double) * {{ var('price_band') }}
    group by traits.shop, traits.product_id, leaders.product_id, leaders.trait

),

summed as (

    select
        shop,
        product_id,
        recommended_product_id,
        -- Traits first; popularity breaks ties.
        cast(sum(points) as double) + 1 / cast(1 + min(popularity_rank) as double) as score,
        max(support) as support
    from shared
    group by shop, product_id, recommended_product_id

),

candidates as (

    select
        summed.*,
        seeds.product_number
    from summed
    inner join {{ ref('eligibility') }} as seeds
        on summed.shop = seeds.shop and summed.product_id = seeds.product_id

),

{{ best_of_each_list('candidates', ['product_number'], var('list_limit')) }}

select
    shop,
    product_id,
    recommended_product_id,
    position,
    {{ rounded("score", 9) }} as score,
    support
from listed
