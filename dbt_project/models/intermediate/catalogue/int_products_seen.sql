{#-
    Products as events describe them: the newest known value of each attribute. Texts are limited to Shopify's 255
    characters, because anyone can send longer ones. A week-old mention counts half. Prices in a currency other than the
    shop's belong to a single market and are ignored.
-#}

with

numbered as (

    select
        mentions.*,
        {{ product_handle('mentions.url') }} as handle,
        case when mentions.currency = shops.currency then mentions.price end as shop_price,
        {{ decayed('mentions.mentions', 'mentions.local_date', 'today.today', 7) }} as recent_mentions,
        row_number() over (
            partition by mentions.shop, mentions.product_id
            order by mentions.event_at, mentions.event_key, mentions.line_number
        ) as recency_rank
    from {{ ref('int_product_mentions') }} as mentions
    left join {{ ref('int_shop_today') }} as today on mentions.shop = today.shop
    left join {{ ref('stg_shops__shops') }} as shops on mentions.shop = shops.shop
    where mentions.product_id is not null

)

select
    shop,
    product_id,
    min(first_event_at) as first_seen_at,
    max(event_at) as last_seen_at,
    cast(sum(mentions) as bigint) as mentions,
    cast(sum(recent_mentions) as double) as recent_mentions,
    max_by(left(product_title, 255), recency_rank) filter (where product_title is not null) as title,
    max_by(left(vendor, 255), recency_rank) filter (where vendor is not null) as vendor,
    max_by(left(product_type, 255), recency_rank) filter (where product_type is not null) as product_type,
    max_by(url, recency_rank) filter (where length(url) < 2000) as url,
    max_by(handle, recency_rank) filter (where length(handle) <= 255) as handle,
    max_by(image_url, recency_rank) filter (where length(image_url) < 2000) as image_url,
    max_by(shop_price, recency_rank) filter (where shop_price is not null) as price
from numbered
group by shop, product_id
