{#- What events say of products: the newest view or order line that names a product. -#}

with

viewed as (

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
        event_key
    from {{ ref('int_product_views') }}
    where product_id is not null

),

ordered as (

    select
        items.shop,
        items.product_id,
        items.product_title as title,
        items.vendor,
        items.product_type,
        cast(null as varchar) as url,
        items.image_url,
        items.unit_price as price,
        items.currency,
        items.ordered_at as event_at,
        items.event_key
    from {{ ref('int_order_lines') }} as items
    where items.product_id is not null

),

seen as (

    select * from viewed
    union all
    select * from ordered

),

ranked as (

    select
        *,
        row_number() over (partition by shop, product_id order by event_at desc, event_key, title) as recency
    from seen

)

select
    shop,
    product_id,
    title,
    vendor,
    product_type,
    url,
    image_url,
    price,
    currency,
    event_at as seen_at
from ranked
where recency = 1
