{#-
    The items of a product page, filled in order of priority: pinned ▶ bought together ▶ viewed together ▶ similar ▶
    popular in its collections ▶ popular in the shop. Each item keeps the strategy that contributed it.
-#}

with

as_of as (

    select * from {{ ref('int_as_of') }}

),

products as (

    select
        products.shop,
        products.product_id,
        numbers.product_number
    from {{ ref('products') }} as products
    inner join {{ ref('eligibility') }} as numbers
        on products.shop = numbers.shop and products.product_id = numbers.product_id
    where not products.is_deleted

),

related as (

    select * from {{ ref('related_products') }}

),

popular as (

    select * from {{ ref('popular_products') }}
    where strategy = 'popular'

),

rules as (

    select * from {{ ref('int_recommendation_rules') }}
    where rule = 'pin'

),

{% set tiers = ['pinned', 'bought_together', 'viewed_together', 'similar', 'popular_in_collection', 'popular'] %}

eligibility as (

    select * from {{ ref('eligibility') }}
    where is_eligible

),

-- The slots filled by products bought or viewed together; if they fill all slots, no fallback is needed.
groups_of_related as (

    select
        related.shop,
        related.product_id,
        least(
            count(distinct related.recommended_product_id),
            case when eligibility.diversity_number is null then 1000 else {{ var('max_per_vendor_and_type') }} end
        ) as slots
    from related
    inner join eligibility
        on related.shop = eligibility.shop and related.recommended_product_id = eligibility.product_id
    where related.strategy <> 'similar'
    group by related.shop, related.product_id, eligibility.diversity_number

),

filled as (

    select
        shop,
        product_id
    from groups_of_related
    group by shop, product_id
    having sum(slots) >= {{ var('product_page_slots') }}

),

unfilled as (

    select
        products.shop,
        products.product_id,
        products.product_number
    from products
    left join filled on products.shop = filled.shop and products.product_id = filled.product_id
    where filled.product_id is null

),

offered as (

    select
        products.shop,
        products.product_id,
        products.product_number,
        rules.product_id as recommended_product_id,
        'pinned' as strategy,
        -- Products pinned on this page come before those pinned on all pages.
        rules.place + case when rules.beside_product_id is null then 500 else 0 end as place,
        cast(null as bigint) as support,
        cast(null as double) as confidence,
        cast(null as double) as lift
    from products
    inner join rules
        on
            products.shop = rules.shop
            and (rules.beside_product_id is null or products.product_id = rules.beside_product_id)

    union all

    select
        related.shop,
        related.product_id,
        products.product_number,
        related.recommended_product_id,
        related.strategy,
        related.position as place,
        related.support,
        related.confidence,
        related.lift
    from related
    inner join products on related.shop = products.shop and related.product_id = products.product_id
    where related.strategy <> 'similar'

    union all

    select
        products.shop,
        products.product_id,
        products.product_number,
        related.recommended_product_id,
        related.strategy,
        related.position as place,
        related.support,
        null as confidence,
        null as lift
    from unfilled as products
    inner join related on products.shop = related.shop and products.product_id = related.product_id
    where related.strategy = 'similar'

    union all

    select
        products.shop,
        products.product_id,
        products.product_number,
        popular.recommended_product_id,
        'popular_in_collection' as strategy,
        popular.position as place,
        popular.support,
        null as confidence,
        null as lift
    from unfilled as products
    inner join {{ ref('collection_products') }} as members
        on products.shop = members.shop and products.product_id = members.product_id
    inner join popular
        on members.shop = popular.shop and popular.scope = 'collection' and members.collection_id = popular.scope_value

    union all

    select
        products.shop,
        products.product_id,
        products.product_number,
        popular.recommended_product_id,
        'popular' as strategy,
        popular.position as place,
        popular.support,
        null as confidence,
        null as lift
    from unfilled as products
    inner join popular on products.shop = popular.shop and popular.scope = 'shop'

),

tiered as (

    select
        *,
        case strategy
            {% for tier in tiers %}
                when '{{ tier }}' then {{ loop.index }}
            {% endfor %}
        end as tier
    from offered
    where product_id <> recommended_product_id

),

-- A product from several strategies is shown once, with the reason of the first one.
first_reasons as (

    select * from (
        select
            *,
            row_number() over (partition by product_number, recommended_product_id order by tier, place) as reason_rank
        from tiered
    ) as reasons
    where reason_rank = 1

),

candidates as (

    select
        *,
        -(1000.0 * tier + place) as score
    from first_reasons

),

{{ best_of_each_list('candidates', ['product_number'], var('product_page_slots')) }}

select
    listed.shop,
    listed.product_id,
    listed.position,
    listed.recommended_product_id,
    listed.strategy,
    listed.support,
    listed.confidence,
    listed.lift,
    {{ reason_in_words('listed.strategy', 'listed.support') }} as reason,
    as_of.as_of as computed_at,
    '{{ var("model_version") }}' as model_version
from listed
left join as_of on listed.shop = as_of.shop
