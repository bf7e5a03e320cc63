with

interests as (

    select interests.*
    from "warehouse"."intermediate"."int_journey_interests" as interests
    inner join "warehouse"."intermediate"."int_personal_methods" as methods
        on interests.shop = methods.shop and methods.method = 'item_similarity'

),

today as (

    select * from "warehouse"."intermediate"."int_shop_today"

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
    having count(*) <= 100

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

-- Within the list of one product its own number of persons is the same for all.
weighed as (

    select
        pairs.shop,
        pairs.product_id,
        pairs.other_product_id,
        cast(pairs.weight as double) / sqrt(cast(other.persons as double)) as weight
    from pairs
    inner join popularity as other on pairs.shop = other.shop and pairs.other_product_id = other.product_id

),

nearest as (

    select * from (
        select
            *,
            row_number() over (partition by shop, product_id order by weight desc, other_product_id) as place
        from weighed
    ) as ranked
    where place <= 30

),

similarities as (

    select
        nearest.shop,
        nearest.product_id,
        nearest.other_product_id,
        cast(nearest.weight / sqrt(cast(one.persons as double)) as decimal(18, 9)) as similarity
    from nearest
    inner join popularity as one on nearest.shop = one.shop and nearest.product_id = one.product_id

),

-- Who has not been here of late gets the lists of a segment.
active as (

    select
        interests.shop,
        interests.journey_id,
        interests.product_id,
        cast(
            interests.weight * power(
                0.5, date_diff('day', interests.last_date, today.today) / 120.0
            ) as decimal(9, 4)
        ) as strength
    from interests
    inner join persons on interests.journey_id = persons.journey_id
    inner join today on interests.shop = today.shop
    where persons.last_date > cast(

    (today.today + cast(-30 as bigint) * interval 1 day) as date)

),

scores as (

    select
        active.shop,
        active.journey_id,
        similarities.other_product_id as product_id,
        round(cast(sum(active.strength * similarities.similarity) as double), 9) as score
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
where place <= 80