with

as_of as (

    select * from {{ ref('int_as_of') }}

),

lists as (

    select
        'bought_together' as strategy,
        shop,
        product_id,
        recommended_product_id,
        position,
        score,
        support,
        confidence,
        lift
    from {{ ref('int_bought_together') }}
    where trained_for = 'now'

    union all

    select
        'viewed_together' as strategy,
        shop,
        product_id,
        recommended_product_id,
        position,
        score,
        support,
        confidence,
        lift
    from {{ ref('int_viewed_together') }}
    where trained_for = 'now'

    union all

    select
        'similar' as strategy,
        shop,
        product_id,
        recommended_product_id,
        position,
        score,
        support,
        null as confidence,
        null as lift
    from {{ ref('int_similar_products') }}

)

select
    lists.shop,
    lists.strategy,
    lists.product_id,
    lists.recommended_product_id,
    lists.position,
    lists.score,
    lists.support,
    cast(lists.confidence as double) as confidence,
    cast(lists.lift as double) as lift,
    {{ reason_in_words('lists.strategy', 'lists.support') }} as reason,
    as_of.as_of as computed_at,
    '{{ var("model_version") }}' as model_version
from lists
left join as_of on lists.shop = as_of.shop
