{#- What events say of products: of each attribute the newest value that is known. -#}

with

views as (

    select * from {{ ref('int_product_views') }}

),

order_lines as (

    select * from {{ ref('int_order_lines') }}

),

mentions as (

    select
        shop,
        product_id,
        product_title as title,
        vendor,
        product_type,
        url,
        image_url,
        price,
        currency,
        event_at,
        event_key,
        0 as line_number
    from views

    union all

    select
        shop,
        product_id,
        product_title as title,
        vendor,
        product_type,
        cast(null as {{ dbt.type_string() }}) as url,
        image_url,
        unit_price as price,
        currency,
        ordered_at as event_at,
        event_key,
        line_number
    from order_lines

),

numbered as (

    select
        *,
        row_number() over (
            partition by shop, product_id
            order by event_at, event_key, line_number
        ) as recency
    from mentions
    where product_id is not null

)

select
    shop,
    product_id,
    max(event_at) as last_seen_at,
    max_by(title, recency) filter (where title is not null) as title,
    max_by(vendor, recency) filter (where vendor is not null) as vendor,
    max_by(product_type, recency) filter (where product_type is not null) as product_type,
    max_by(url, recency) filter (where url is not null) as url,
    max_by({{ product_handle('url') }}, recency) filter (where {{ product_handle('url') }} is not null) as handle,
    max_by(image_url, recency) filter (where image_url is not null) as image_url,
    max_by(price, recency) filter (where price is not null and currency is not null) as price,
    max_by(currency, recency) filter (where price is not null and currency is not null) as currency
from numbered
group by shop, product_id
