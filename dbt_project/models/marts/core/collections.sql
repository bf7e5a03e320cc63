with

collections as (

    select * from {{ ref('stg_shopify__collections') }}

),

members as (

    select
        shop,
        collection_id,
        count(*) as products
    from {{ ref('stg_shopify__collection_products') }}
    group by shop, collection_id

)

select
    collections.collection_key,
    collections.shop,
    collections.collection_id,
    collections.title,
    collections.handle,
    collections.sort_order,
    coalesce(members.products, 0) as products,
    collections.is_deleted,
    collections.deleted_at,
    collections.updated_at
from collections
left join members on collections.shop = members.shop and collections.collection_id = members.collection_id
