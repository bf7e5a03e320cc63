{#-
    What events say of products: of each attribute the newest value that is known. Shopify allows 255 characters; whoever
    sends more must not fill every list that names the product.
-#}

with

numbered as (

    select
        *,
        row_number() over (
            partition by shop, product_id
            order by event_at, event_key, line_number
        ) as recency
    from {{ ref('int_product_mentions') }}
    where product_id is not null

)

select
    shop,
    product_id,
    max(event_at) as last_seen_at,
    max_by(left(product_title, 255), recency) filter (where product_title is not null) as title,
    max_by(left(vendor, 255), recency) filter (where vendor is not null) as vendor,
    max_by(left(product_type, 255), recency) filter (where product_type is not null) as product_type,
    max_by(url, recency) filter (where length(url) < 2000) as url,
    max_by({{ product_handle('url') }}, recency) filter (where length({{ product_handle('url') }}) <= 255) as handle,
    max_by(image_url, recency) filter (where length(image_url) < 2000) as image_url,
    max_by(price, recency) filter (where price is not null and currency is not null) as price,
    max_by(currency, recency) filter (where price is not null and currency is not null) as currency
from numbered
group by shop, product_id
