with

variants as (

    select * from {{ source('shopify', 'variants') }}

),

renamed as (

    select
        shop,
        {{ shopify_id('id') }} as variant_id,
        {{ shopify_id('product_id') }} as product_id,
        title,
        sku,
        position,
        {{ money('price') }} as price,
        {{ money('compare_at_price') }} as compare_at_price,
        available_for_sale as is_available,
        inventory_quantity,
        cast(created_at as timestamp) as created_at,
        cast(updated_at as timestamp) as updated_at
    from variants

)

select
    {{ surrogate_key(['shop', 'variant_id']) }} as variant_key,
    *
from renamed
