{#-
    Session-kNN (Jannach and Ludewig 2017; weights after V-SKNN): scores products of past sessions similar to a prefix.
    serving/api/session_neighbours.py computes the same for the read API.
-#}

{{ config(materialized='view') }}

with

prefixes as (

    select * from {{ ref('int_session_prefixes') }}

),

-- The position of a product in a session is its last view.
past_products as (

    select
        shop,
        session_id,
        local_date,
        product_id,
        last_viewed_at,
        -views_to_end as place
    from {{ ref('int_session_products') }}
    where is_last_view

),

windows as (

    select * from {{ ref('int_training_windows') }}

),

sessions_per_product as (

    select
        windows.trained_for,
        past_products.shop,
        past_products.product_id,
        count(*) as sessions,
        sum(case when past_products.place = -1 then 1 else 0 end) as last_of_sessions
    from past_products
    inner join windows
        on
            past_products.shop = windows.shop
            and past_products.local_date between windows.first_neighbour_date and windows.last_date
    group by windows.trained_for, past_products.shop, past_products.product_id

),

-- A product that many sessions view carries less signal than a rare one.
rarities as (

    select
        trained_for,
        shop,
        product_id,
        ln(sum(last_of_sessions) over (partition by trained_for, shop) / cast(sessions as double)) as rarity
    from sessions_per_product

),

products_of_prefixes as (

    select distinct
        trained_for,
        shop,
        product_id
    from prefixes

),

-- Only the newest sessions of each product count.
recent_sessions as (

    select * from (
        select
            products_of_prefixes.trained_for,
            past_products.*,
            row_number() over (
                partition by products_of_prefixes.trained_for, past_products.shop, past_products.product_id
                order by past_products.last_viewed_at desc, past_products.session_id
            ) as recency_rank
        from products_of_prefixes
        inner join windows
            on
                products_of_prefixes.trained_for = windows.trained_for
                and products_of_prefixes.shop = windows.shop
        inner join past_products
            on
                products_of_prefixes.shop = past_products.shop
                and products_of_prefixes.product_id = past_products.product_id
                and past_products.local_date between windows.first_neighbour_date and windows.last_date
    ) as ranked
    where recency_rank <= {{ var('neighbour_sessions_per_product') }}

),

similar_sessions as (

    select
        prefixes.trained_for,
        prefixes.prefix_id,
        recent_sessions.session_id,
        max(recent_sessions.last_viewed_at) as last_viewed_at,
        sum({{ place_weight('prefixes.distance') }}) as similarity,
        {{ earliest('recent_sessions.place', ['prefixes.distance']) }} as match_place
    from prefixes
    inner join recent_sessions
        on
            prefixes.trained_for = recent_sessions.trained_for
            and prefixes.shop = recent_sessions.shop
            and prefixes.product_id = recent_sessions.product_id
            and prefixes.session_id <> recent_sessions.session_id
    group by prefixes.trained_for, prefixes.prefix_id, recent_sessions.session_id

),

neighbours as (

    select * from (
        select
            *,
            row_number() over (
                partition by prefix_id
                order by {{ rounded("similarity", 9) }} desc, last_viewed_at desc, session_id
            ) as neighbour_rank
        from similar_sessions
    ) as ranked
    where neighbour_rank <= {{ var('neighbour_sessions') }}

)

select
    neighbours.trained_for,
    past_products.shop,
    neighbours.prefix_id,
    past_products.product_id as recommended_product_id,
    cast(sum({{ exact(
        "neighbours.similarity * (1 + rarities.rarity / 5) / (1 + abs(past_products.place - neighbours.match_place))"
    ) }}) as double) as score
from neighbours
inner join past_products on neighbours.session_id = past_products.session_id
inner join rarities
    on
        neighbours.trained_for = rarities.trained_for
        and past_products.shop = rarities.shop
        and past_products.product_id = rarities.product_id
group by neighbours.trained_for, past_products.shop, neighbours.prefix_id, past_products.product_id
