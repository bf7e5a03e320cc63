{#-
    Item-based collaborative filtering for shops whose catalogue is too large for closed-form regression: cosine similarity
    over shared persons, each weighted down by their number of products. Ineligible and owned products are removed before
    the top items are taken.
-#}

with

numbers as (

    select
        shop,
        product_id,
        product_number,
        is_eligible,
        coalesce(diversity_number, -product_number) as diversity_number
    from {{ ref('eligibility') }}

),

interests as (

    select
        interests.shop,
        interests.journey_id,
        dense_rank() over (order by interests.journey_id) as journey_number,
        numbers.product_number,
        interests.weight,
        interests.last_date,
        interests.orders > 0 and repurchased.product_id is null as is_owned
    from {{ ref('int_interests') }} as interests
    inner join {{ ref('int_personal_methods') }} as methods
        on interests.shop = methods.shop and methods.method = 'item_similarity'
    inner join numbers on interests.shop = numbers.shop and interests.product_id = numbers.product_id
    left join {{ ref('int_repurchased_products') }} as repurchased
        on interests.shop = repurchased.shop and interests.product_id = repurchased.product_id
    where interests.trained_for = 'now'

),

today as (

    select * from {{ ref('int_shop_today') }}

),

-- People with hundreds of products would add thousands of pairs without signal.
persons as (

    select
        journey_number,
        count(*) as products,
        max(last_date) as last_date
    from interests
    group by journey_number
    having count(*) <= {{ var('max_personal_products') }}

),

popularity as (

    select
        product_number,
        count(*) as persons
    from interests
    group by product_number

),

pairs as (

    select
        left_interests.product_number,
        right_interests.product_number as other_number,
        sum({{ exact('1 / cast(persons.products as double)') }}) as weight
    from interests as left_interests
    inner join persons on left_interests.journey_number = persons.journey_number
    inner join interests as right_interests
        on
            left_interests.journey_number = right_interests.journey_number
            and left_interests.product_number <> right_interests.product_number
    group by left_interests.product_number, right_interests.product_number

),

-- The product's own number of persons is constant within its list, so it does not affect this rank.
nearest as (

    select * from (
        select
            pairs.product_number,
            pairs.other_number,
            cast(pairs.weight as double) / sqrt(cast(popularity.persons as double)) as weight,
            row_number() over (
                partition by pairs.product_number
                order by
                    cast(pairs.weight as double) / sqrt(cast(popularity.persons as double)) desc,
                    pairs.other_number
            ) as similarity_rank
        from pairs
        inner join popularity on pairs.other_number = popularity.product_number
        inner join numbers on pairs.other_number = numbers.product_number
        where numbers.is_eligible
    ) as ranked
    where similarity_rank <= {{ var('item_neighbours') }}

),

similarities as (

    select
        nearest.product_number,
        nearest.other_number,
        {{ exact('nearest.weight / sqrt(cast(popularity.persons as double))') }} as similarity
    from nearest
    inner join popularity on nearest.product_number = popularity.product_number

),

-- Active people with permission. All others get the lists of their segment and count only for the similarities.
active as (

    select
        interests.journey_number,
        interests.product_number,
        {{ exact(
            'interests.weight * power(0.5, cast(' ~ elapsed('day', 'interests.last_date', 'today.today') ~ ' as double) / '
            ~ var('interest_half_life_days') ~ ')',
            9,
            4
        ) }} as strength
    from interests
    inner join persons on interests.journey_number = persons.journey_number
    inner join today on interests.shop = today.shop
    inner join {{ ref('int_permissions') }} as permissions on interests.journey_id = permissions.journey_id
    where
        permissions.may_have_personal_lists
        and persons.last_date > cast({{ dbt.dateadd('day', -var('personal_active_days'), 'today.today') }} as date)

),

scores as (

    select
        active.journey_number,
        similarities.other_number as product_number,
        {{ rounded("cast(sum(active.strength * similarities.similarity) as double)", 9) }} as score
    from active
    inner join similarities on active.product_number = similarities.product_number
    group by active.journey_number, similarities.other_number

),

owned as (

    select
        journey_number,
        product_number
    from interests
    where is_owned

),

diverse as (

    select * from (
        select
            scores.*,
            row_number() over (
                partition by scores.journey_number, numbers.diversity_number
                order by scores.score desc, scores.product_number
            ) as group_rank
        from scores
        inner join numbers on scores.product_number = numbers.product_number
        left join owned
            on scores.journey_number = owned.journey_number and scores.product_number = owned.product_number
        where owned.product_number is null
    ) as grouped
    where group_rank <= {{ var('max_per_vendor_and_type') }}

),

best as (

    select * from (
        select
            *,
            row_number() over (partition by journey_number order by score desc, product_number) as list_rank
        from diverse
    ) as ranked
    where list_rank <= {{ var('list_limit') }}

),

journeys as (

    select distinct
        journey_number,
        journey_id
    from interests

)

select
    numbers.shop,
    journeys.journey_id,
    numbers.product_id,
    best.score
from best
inner join journeys on best.journey_number = journeys.journey_number
inner join numbers on best.product_number = numbers.product_number
