with

products as (

    select * from {{ source('shopify', 'products') }}

),

renamed as (

    select
        shop,
        {{ shopify_id('id') }} as product_id,
        title,
        handle,
        vendor,
        product_type,
        status,
        status = 'ACTIVE' and online_store_url is not null as is_published,
        online_store_url as url,
        image_url,
        cast(created_at as timestamp) as created_at,
        cast(updated_at as timestamp) as updated_at
    from products

)

select
    {{ surrogate_key(['shop', 'product_id']) }} as product_key,
    *
from renamed
