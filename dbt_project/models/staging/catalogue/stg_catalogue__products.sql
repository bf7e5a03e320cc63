with

readings as (

    select
        *,
        cast(fetched_at as timestamp) as read_at,
        max(fetched_at) over (partition by shop) as newest_fetched_at,
        row_number() over (partition by shop, handle order by fetched_at desc) as age
    from {{ source('catalogue', 'products') }}

)

select
    shop,
    handle,
    product_id,
    title,
    description_html,
    vendor,
    product_type,
    tags,
    status,
    is_gift_card,
    coalesce(is_published, true) and fetched_at = newest_fetched_at as is_published,
    fetched_at < newest_fetched_at as is_deleted,
    image_url,
    cast(created_at as timestamp) as created_at,
    cast(updated_at as timestamp) as updated_at,
    fetched_at,
    read_at
from readings
where age = 1
