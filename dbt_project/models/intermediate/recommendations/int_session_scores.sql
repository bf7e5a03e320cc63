{#-
    Scores for the next product after a prefix: the neighbours' score plus the score of the lists of its products, each
    normalized by its maximum, the lists with a lower weight.
-#}

with

prefixes as (

    select * from {{ ref('int_session_prefixes') }}

),

lists as (

    select
        trained_for,
        shop,
        product_id,
        recommended_product_id,
        score
    from {{ ref('int_viewed_together') }}

    union all

    -- Products of the session itself are not shown, but count for the maximum.
    select
        trained_for,
        shop,
        product_id,
        product_id as recommended_product_id,
        again as score
    from {{ ref('int_viewed_products') }}
    where again > 0

),

list_scores as (

    select
        prefixes.trained_for,
        prefixes.shop,
        prefixes.prefix_id,
        lists.recommended_product_id,
        cast(sum({{ exact(place_weight('prefixes.distance') ~ ' * lists.score') }}) as double) as score
    from prefixes
    inner join lists
        on
            prefixes.trained_for = lists.trained_for
            and prefixes.shop = lists.shop
            and prefixes.product_id = lists.product_id
    group by prefixes.trained_for, prefixes.shop, prefixes.prefix_id, lists.recommended_product_id

),

shares as (

    select
        trained_for,
        shop,
        prefix_id,
        recommended_product_id,
        cast(null as double) as list_score,
        score / nullif(max(score) over (partition by prefix_id), 0) as share
    from {{ ref('int_neighbour_scores') }}

    union all

    select
        trained_for,
        shop,
        prefix_id,
        recommended_product_id,
        score as list_score,
        {{ var('blend_of_lists') }} * score / nullif(max(score) over (partition by prefix_id), 0) as share
    from list_scores

)

select
    trained_for,
    shop,
    prefix_id,
    recommended_product_id,
    max(list_score) as list_score,
    {{ rounded("sum(share)", 9) }} as score
from shares
group by trained_for, shop, prefix_id, recommended_product_id
