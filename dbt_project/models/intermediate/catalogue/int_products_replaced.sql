{#-
    Products that were deleted and recreated: a newer id is seen at their URL. Anyone can send an event with a new id for a
    product's URL, so one event is not enough: the new product must have more recent mentions, or several mentions after
    the last one of the old product.
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
