{{ config(materialized='view') }}

with

lines as (

    select * from {{ ref('int_cart_lines') }}

),

flags as (

    select * from {{ ref('int_session_flags') }}

),

shops as (

    select * from {{ ref('stg_shops__shops') }}

)

select
    lines.cart_action_id,
    lines.event_key,
    lines.shop,
    lines.session_id,
    lines.client_id,
    lines.event_at as acted_at,
    {{ local_time('lines.event_at', "coalesce(shops.timezone, 'UTC')") }} as acted_local_at,
    lines.local_date,
    lines.action,
    lines.line_number,
    lines.product_id,
    lines.variant_id,
    lines.sku,
    lines.product_title,
    lines.quantity,
    lines.unit_price,
    lines.amount,
    lines.currency,
    coalesce(flags.is_bot, false) as is_bot,
    coalesce(flags.is_test, false) as is_test
from lines
left join flags on lines.session_id = flags.session_id
left join shops on lines.shop = shops.shop
