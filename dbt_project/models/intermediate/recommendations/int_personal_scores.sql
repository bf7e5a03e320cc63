{#-
    Item-based collaborative filtering, for shops whose catalogue is too large for closed-form regression: cosine of the
    persons that two products share, who says less of each the more they looked at.
-#}

with

interests as (

    select interests.*
    from {{ ref('int_journey_interests') }} as interests
    inner join {{ ref('int_personal_methods') }} as methods
        on interests.shop = methods.shop and methods.method = 'item_similarity'

),

today as (

    select * from {{ ref('int_shop_today') }}

),

-- Who looked at hundreds of products would make pairs by the thousand, and says nothing.
persons as (

    select
        shop,
        journey_id,
        count(*) as products,
        max(last_date) as last_date
    from interests
    group by shop, journey_id
    having count(*) <= {{ var('max_personal_products') }}

),

popularity as (

    select
        shop,
        product_id,
        count(*) as persons
    from interests
    group by shop, product_id

),

pairs as (

    select
        one.shop,
        one.product_id,
        other.product_id as other_product_id,
        sum(cast(1.0 / persons.products as decimal(18, 9))) as weight
    from interests as one
    inner join persons on one.journey_id = persons.journey_id
    inner join interests as other on one.journey_id = other.journey_id and one.product_id <> other.product_id
    group by one.shop, one.product_id, other.product_id

),

similarities as (

    select * from (
        select
            pairs.*,
            cast(pairs.weight as double) / sqrt(cast(one.persons as double) * other.persons) as similarity,
            row_number() over (
                partition by pairs.shop, pairs.product_id
                order by cast(pairs.weight as double) / sqrt(cast(other.persons as double)) desc, pairs.other_product_id
            ) as place
        from pairs
        inner join popularity as one on pairs.shop = one.shop and pairs.product_id = one.product_id
        inner join popularity as other on pairs.shop = other.shop and pairs.other_product_id = other.product_id
    ) as ranked
    where place <= {{ var('similar_candidates') }}

),

-- Who has not been here of late gets the lists of a segment.
active as (

    select
        interests.shop,
        interests.journey_id,
        interests.product_id,
        interests.weight
        * power(
            0.5, {{ elapsed('day', 'interests.last_date', 'today.today') }} / {{ var('interest_half_life_days') }}.0
        ) as strength
    from interests
    inner join persons on interests.journey_id = persons.journey_id
    inner join today on interests.shop = today.shop
    where persons.last_date > cast({{ dbt.dateadd('day', -var('personal_active_days'), 'today.today') }} as date)

),

scores as (

    select
        active.shop,
        active.journey_id,
        similarities.other_product_id as product_id,
        cast(sum(cast(active.strength * similarities.similarity as decimal(18, 9))) as double) as score
    from active
    inner join similarities on active.shop = similarities.shop and active.product_id = similarities.product_id
    group by active.shop, active.journey_id, similarities.other_product_id

)

select
    shop,
    journey_id,
    product_id,
    score
from (
    select
        *,
        row_number() over (partition by shop, journey_id order by score desc, product_id) as place
    from scores
) as ranked
where place <= {{ 4 * var('list_limit') }}
