{#-
    The lines of every order with their cost: from the pixel, or from the Admin API if the pixel did not see the order.
    The cost is the variant's current one.
-#}

with

pixel_lines as (

    select
        orders.shop,
        orders.order_key,
        orders.currency,
        lines.line_number,
        lines.product_id,
        lines.variant_id,
        lines.quantity,
        lines.amount
    from {{ ref('orders') }} as orders
    inner join {{ ref('int_order_lines') }} as lines on orders.event_key = lines.event_key

),

missed_orders as (

    select
        shop,
        order_key,
        currency
    from {{ ref('int_orders_reconciled') }}
    where pixel_order_key is null

),

admin_lines as (

    select
        missed_orders.shop,
        missed_orders.order_key,
        missed_orders.currency,
        row_number() over (partition by missed_orders.order_key order by lines.line_id) as line_number,
        lines.product_id,
        lines.variant_id,
        lines.quantity,
        lines.discounted_amount as amount
    from {{ ref('stg_shopify__order_lines') }} as lines
    inner join missed_orders
        on {{ surrogate_key(['lines.shop', 'lines.order_id']) }} = missed_orders.order_key

),

lines as (

    select * from pixel_lines

    union all

    select * from admin_lines

),

variants as (

    select
        shop,
        variant_id,
        unit_cost,
        currency
    from {{ ref('variants') }}
    where unit_cost is not null

)

select
    lines.shop,
    lines.order_key,
    lines.line_number,
    lines.product_id,
    lines.variant_id,
    lines.quantity,
    lines.amount,
    {{ times('variants.unit_cost', 'lines.quantity') }} as cost_amount
from lines
left join variants
    on
        lines.shop = variants.shop
        and lines.variant_id = variants.variant_id
        and lines.currency = variants.currency
