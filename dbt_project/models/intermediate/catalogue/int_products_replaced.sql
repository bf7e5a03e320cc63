{#-
    Products that were deleted and made again: another id is seen at their address since. Anybody can send an event of a
    new id at a product's address, so that one event is not enough: the new product is either mentioned more of late, or
    mentioned several times and never beside the old one, of which nothing has been seen since.
-#}

with

products as (

    select * from {{ ref('int_products_seen') }}
    where handle is not null

)

select distinct
    older.shop,
    older.product_id
from products as older
inner join products as newer
    on
        older.shop = newer.shop
        and older.handle = newer.handle
        and older.product_id <> newer.product_id
        and older.last_seen_at < newer.last_seen_at
where
    older.recent_mentions < newer.recent_mentions
    or (
        older.last_seen_at < newer.first_seen_at
        and newer.mentions >= {{ var('replaced_after_mentions') }}
    )
