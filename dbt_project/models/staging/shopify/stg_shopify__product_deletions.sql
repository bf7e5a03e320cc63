with

deletions as (

    select
        shop,
        {{ shopify_id('id') }} as product_id,
        cast(fetched_at as timestamp) as fetched_at,
        {{ utc_timestamp(json_text('node', '$.deletedAt')) }} as deleted_at
    from {{ source('shopify', 'product_deletions') }}
    where {{ is_built('shop') }}

)

select
    shop,
    product_id,
    max(fetched_at) as fetched_at,
    min(deleted_at) as deleted_at
from deletions
where product_id is not null
group by shop, product_id
