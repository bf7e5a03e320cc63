with

members as (

    select distinct
        shop,
        {{ shopify_id('parent_id') }} as collection_id,
        {{ shopify_id('id') }} as product_id,
        cast(fetched_at as timestamp) as fetched_at
    from {{ source('shopify', 'collection_products') }}
    where {{ is_built('shop') }}

),

collections as (

    select * from {{ ref('stg_shopify__collections') }}

)

-- Members arrive as a complete set per collection: those only in earlier answers have been removed.
select
    {{ surrogate_key(['members.shop', 'members.collection_id', 'members.product_id']) }} as collection_product_key,
    members.shop,
    members.collection_id,
    members.product_id
from members
inner join collections
    on
        members.shop = collections.shop
        and members.collection_id = collections.collection_id
        and members.fetched_at = collections.fetched_at
