{#-
    The lines of every checkout_completed event with their amounts. int_orders_deduplicated decides which event is the
    order.
-#}

{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    incremental_predicates=[rows_of_this_run('event_key', 'int_events_changed_this_run')],
) }}

with

lines as (

    select * from {{ ref('int_order_lines_this_run') }}

),

orders as (

    select * from {{ ref('int_order_amounts') }}

)

select
    lines.event_key,
    lines.shop,
    lines.currency,
    lines.line_number,
    lines.product_id,
    lines.variant_id,
    lines.sku,
    lines.product_title,
    lines.variant_title,
    lines.vendor,
    lines.product_type,
    lines.image_url,
    lines.quantity,
    lines.unit_price,
    lines.final_line_price,
    lines.recommendation,
    lines.discount_amount,
    {{ money("""
        case orders.amount_basis
            when 'less_order_discounts' then lines.amount_less_order_discounts
            when 'less_unclear_discounts' then lines.amount_less_unclear_discounts
            when 'less_all_discounts' then lines.amount_less_all_discounts
            when 'before_discounts' then lines.amount_before_discounts
            when 'not_verified' then lines.amount_less_order_discounts
            else lines.amount_as_sent
        end
    """) }} as amount
from lines
inner join orders on lines.event_key = orders.event_key
