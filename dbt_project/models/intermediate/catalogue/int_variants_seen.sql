{#-
    Variants as events describe them: the newest known value of each attribute. Prices in a currency other than the
    shop's belong to a single market and are ignored.
-#}

with

numbered as (

    select
        mentions.*,
        case when mentions.currency = shops.currency then mentions.price end as shop_price,
        row_number() over (
            partition by mentions.shop, mentions.variant_id
            order by mentions.event_at, mentions.event_key, mentions.line_number
        ) as recency_rank
    from {{ ref('int_product_mentions') }} as mentions
    left join {{ ref('stg_shops__shops') }} as shops on mentions.shop = shops.shop
    where mentions.variant_id is not null and mentions.product_id is not null

)

select
    shop,
    variant_id,
    max(event_at) as last_seen_at,
    max_by(product_id, recency_rank) filter (where product_id is not null) as product_id,
    max_by(sku, recency_rank) filter (where sku is not null) as sku,
    max_by(variant_title, recency_rank) filter (where variant_title is not null) as title,
    max_by(shop_price, recency_rank) filter (where shop_price is not null) as price
from numbered
group by shop, variant_id
