with

answers as (

    select
        *,
        row_number() over (
            partition by shop, variant_id
            order by fetched_at desc, updated_at desc
        ) as age
    from {{ ref('base_shopify__variants') }}

),

products as (

    select * from {{ ref('stg_shopify__products') }}

)

-- A product's variants come as a set, with its own answer: one that is not in the newest is gone.
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
    products.is_deleted or answers.fetched_at < products.fetched_at as is_deleted,
    case
        when answers.fetched_at < products.fetched_at then products.updated_at
        else products.deleted_at
    end as deleted_at,
    answers.created_at,
    answers.updated_at
from answers
inner join products on answers.shop = products.shop and answers.product_id = products.product_id
where answers.age = 1
