{#- Distinct product and variant attributes in a day's views and order lines, with the first and last time. -#}

{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    incremental_predicates=[days_of_this_run()],
) }}

with

events as (

    select * from {{ ref('int_events') }}

),

order_lines as (

    select * from {{ ref('int_order_lines') }}

),

orders as (

    select * from {{ ref('orders') }}

),

mentions as (

    select
        shop,
        local_date,
        product_id,
        variant_id,
        product_title,
        cast(null as {{ dbt.type_string() }}) as variant_title,
        sku,
        vendor,
        product_type,
        product_url as url,
        image_url,
        price,
        currency,
        event_at,
        event_key,
        0 as line_number
    from events
    where event_name = 'product_viewed' and {{ is_day_of_this_run('shop', 'local_date') }}

    union all

    select
        orders.shop,
        orders.local_date,
        order_lines.product_id,
        order_lines.variant_id,
        order_lines.product_title,
        order_lines.variant_title,
        order_lines.sku,
        order_lines.vendor,
        order_lines.product_type,
        cast(null as {{ dbt.type_string() }}) as url,
        order_lines.image_url,
        order_lines.unit_price as price,
        orders.currency,
        orders.ordered_at as event_at,
        orders.event_key,
        order_lines.line_number
    from orders
    inner join order_lines on orders.event_key = order_lines.event_key
    where {{ is_day_of_this_run('orders.shop', 'orders.local_date') }}

)

{% set attributes = [
    'shop', 'local_date', 'product_id', 'variant_id', 'product_title', 'variant_title', 'sku', 'vendor', 'product_type',
    'url', 'image_url', 'price', 'currency'
] %}

select
    {{ attributes | join(',\n    ') }},
    count(*) as mentions,
    min(event_at) as first_event_at,
    max(event_at) as event_at,
    {{ latest('event_key', ['event_at', 'event_key']) }} as event_key,
    {{ latest('line_number', ['event_at', 'event_key', 'line_number']) }} as line_number
from mentions
where product_id is not null
group by {{ attributes | join(', ') }}
