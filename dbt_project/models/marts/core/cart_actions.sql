with

lines as (

    select * from {{ ref('int_cart_lines') }}

),

sessionized as (

    select * from {{ ref('int_events_sessionized') }}

),

shops as (

    select * from {{ ref('shops') }}

)

select
    lines.cart_action_id,
    lines.event_key,
    lines.shop,
    sessionized.session_id,
    lines.client_id,
    lines.event_at as acted_at,
    {{ local_date('lines.event_at', "coalesce(shops.timezone, 'UTC')") }} as acted_date,
    lines.action,
    lines.line_number,
    lines.product_id,
    lines.variant_id,
    lines.sku,
    lines.product_title,
    lines.quantity,
    lines.unit_price,
    lines.amount,
    lines.currency
from lines
left join sessionized on lines.event_key = sessionized.event_key
left join shops on lines.shop = shops.shop
