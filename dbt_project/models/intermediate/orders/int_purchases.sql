{#-
    The orders of each person, by product, by product type, and for the shop as a whole (*), with the days since
    the person last ordered the same.
-#}

with

orders as (

    select * from {{ ref('int_orders_combined') }}
    where journey_id is not null and not is_bot

),

products as (

    select * from {{ ref('products') }}

),

bought_products as (

    select distinct
        orders.shop,
        orders.journey_id,
        orders.order_key,
        orders.order_number,
        orders.local_date,
        lines.product_id,
        products.product_type
    from orders
    inner join {{ ref('int_sold_lines') }} as lines on orders.order_key = lines.order_key
    left join products on lines.shop = products.shop and lines.product_id = products.product_id
    where lines.product_id is not null

),

purchases as (

    select
        shop,
        journey_id,
        order_key,
        order_number,
        local_date,
        'product' as item_kind,
        product_id as item
    from bought_products

    union all

    select distinct
        shop,
        journey_id,
        order_key,
        order_number,
        local_date,
        'product_type' as item_kind,
        product_type as item
    from bought_products
    where product_type is not null

    union all

    select
        shop,
        journey_id,
        order_key,
        order_number,
        local_date,
        'shop' as item_kind,
        '*' as item
    from orders

),

ordered as (

    select
        *,
        lag(local_date) over (partition by journey_id, item_kind, item order by order_number) as previous_date
    from purchases

)

select
    shop,
    journey_id,
    order_key,
    item_kind,
    item,
    local_date,
    {{ elapsed('day', 'previous_date', 'local_date') }} as days_since_previous
from ordered
