with

answers as (

    select
        *,
        row_number() over (
            partition by shop, product_id
            order by fetched_at desc, updated_at desc
        ) as age_rank
    from {{ ref('base_shopify__products') }}

),

deletions as (

    select * from {{ ref('stg_shopify__product_deletions') }}

)

-- A product that Shopify returns after its deletion exists again.
select
    {{ surrogate_key(['answers.shop', 'answers.product_id']) }} as product_key,
    answers.shop,
    answers.product_id,
    answers.title,
    answers.handle,
    answers.description_html,
    answers.vendor,
    answers.product_type,
    answers.tags,
    answers.status,
    answers.is_gift_card,
    answers.status = 'ACTIVE' and answers.url is not null and deletions.product_id is null as is_published,
    deletions.product_id is not null as is_deleted,
    deletions.deleted_at,
    answers.url,
    answers.image_url,
    answers.created_at,
    answers.updated_at,
    answers.fetched_at
from answers
left join deletions
    on
        answers.shop = deletions.shop
        and answers.product_id = deletions.product_id
        and answers.fetched_at < deletions.fetched_at
where answers.age_rank = 1
