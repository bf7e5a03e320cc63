select
    members.collection_product_key,
    members.shop,
    members.collection_id,
    members.product_id
from {{ ref('stg_shopify__collection_products') }} as members
inner join {{ ref('stg_shopify__collections') }} as collections
    on members.shop = collections.shop and members.collection_id = collections.collection_id
where not collections.is_deleted
