{#- What views and order lines say of products and variants. -#}

with

views as (

    select * from {{ ref('int_product_views') }}

),

order_lines as (

    select * from {{ ref('int_order_lines') }}

)

select
    shop,
    product_id,
    variant_id,
    product_title,
    cast(null as {{ dbt.type_string() }}) as variant_title,
    sku,
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
    variant_id,
    product_title,
    variant_title,
    sku,
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
