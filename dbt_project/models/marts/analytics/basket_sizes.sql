{#- Larger baskets share a row. -#}
{% set largest = 10 %}

with

orders as (

    select * from {{ ref('int_orders_combined') }}
    where not is_bot

),

products as (

    select * from {{ ref('products') }}

),

lines as (

    select
        lines.order_key,
        lines.product_id,
        lines.quantity,
        products.product_type
    from {{ ref('int_sold_lines') }} as lines
    left join products on lines.shop = products.shop and lines.product_id = products.product_id
    where lines.product_id is not null

),

baskets as (

    select
        orders.shop,
        orders.currency,
        orders.order_key,
        orders.subtotal_amount,
        least(count(distinct lines.product_id), {{ largest }}) as products,
        sum(lines.quantity) as units
    from orders
    inner join lines on orders.order_key = lines.order_key
    group by orders.shop, orders.currency, orders.order_key, orders.subtotal_amount

),

types_in_baskets as (

    select distinct
        order_key,
        product_type
    from lines
    where product_type is not null

),

containing as (

    select
        *,
        'all' as contains_kind,
        'all' as contains
    from baskets

    union all

    select
        baskets.*,
        'product_type' as contains_kind,
        types_in_baskets.product_type as contains
    from baskets
    inner join types_in_baskets on baskets.order_key = types_in_baskets.order_key

),

sized as (

    select
        shop,
        currency,
        contains_kind,
        contains,
        products,
        count(*) as orders,
        cast(sum(units) as bigint) as units,
        sum(subtotal_amount) as subtotal_amount,
        count(subtotal_amount) as priced_orders
    from containing
    group by shop, currency, contains_kind, contains, products

),

shared as (

    select
        *,
        sum(orders) over (partition by shop, currency, contains_kind, contains) as all_orders,
        sum(case when products > 1 then orders else 0 end)
            over (partition by shop, currency, contains_kind, contains) as attached_orders
    from sized

)

select
    {{ surrogate_key(['shop', 'currency', 'contains_kind', 'contains', 'products']) }} as basket_size_key,
    shop,
    currency,
    contains_kind,
    contains,
    cast(products as bigint) as products,
    orders,
    cast(orders as double) / all_orders as share_of_orders,
    cast(attached_orders as double) / all_orders as attach_rate,
    units,
    {{ total('subtotal_amount') }} as subtotal_amount,
    cast(subtotal_amount as double) / nullif(priced_orders, 0) as average_subtotal_amount
from shared
