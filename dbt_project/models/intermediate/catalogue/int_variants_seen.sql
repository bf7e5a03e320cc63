{#- What events say of variants: of each attribute the newest value that is known. -#}

with

numbered as (

    select
        *,
        row_number() over (
            partition by shop, variant_id
            order by event_at, event_key, line_number
        ) as recency
    from {{ ref('int_product_mentions') }}
    where variant_id is not null and product_id is not null

)

select
    shop,
    variant_id,
    max(event_at) as last_seen_at,
    max_by(product_id, recency) as product_id,
    max_by(sku, recency) filter (where sku is not null) as sku,
    max_by(variant_title, recency) filter (where variant_title is not null) as title,
    max_by(price, recency) filter (where price is not null and currency is not null) as price,
    max_by(currency, recency) filter (where price is not null and currency is not null) as currency
from numbered
group by shop, variant_id
