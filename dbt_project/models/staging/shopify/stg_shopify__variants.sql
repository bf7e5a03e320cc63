with

answers as (

    select
        *,
        row_number() over (
            partition by shop, variant_id
            order by fetched_at desc, updated_at desc
        ) as age_rank
    from {{ ref('base_shopify__variants') }}

),

products as (

    select * from {{ ref('stg_shopify__products') }}

),

-- The first answer about its product that lacks the variant; later answers do not change that.
removals as (

    select
        answers.shop,
        answers.variant_id,
        {{ earliest('product_answers.updated_at', ['product_answers.fetched_at']) }} as removed_at
    from answers
    inner join {{ ref('base_shopify__products') }} as product_answers
        on
            answers.shop = product_answers.shop
            and answers.product_id = product_answers.product_id
            and answers.fetched_at < product_answers.fetched_at
    where answers.age_rank = 1
    group by answers.shop, answers.variant_id

)

-- Variants arrive as a complete set with each answer about the product: a variant missing from the newest is deleted.
select
    {{ surrogate_key(['answers.shop', 'answers.variant_id']) }} as variant_key,
    answers.shop,
    answers.variant_id,
    answers.product_id,
    answers.title,
    answers.sku,
    answers.position,
    answers.price,
    answers.compare_at_price,
    answers.is_available,
    answers.inventory_quantity,
    answers.inventory_policy,
    answers.unit_cost,
    answers.unit_cost_currency,
    products.is_deleted or answers.fetched_at < products.fetched_at as is_deleted,
    coalesce(removals.removed_at, products.deleted_at) as deleted_at,
    answers.created_at,
    answers.updated_at
from answers
inner join products on answers.shop = products.shop and answers.product_id = products.product_id
left join removals on answers.shop = removals.shop and answers.variant_id = removals.variant_id
where answers.age_rank = 1
