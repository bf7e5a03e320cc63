with

items as (

    select
        items.shop,
        sum(items.quantity) as units
    from {{ ref('order_items') }} as items
    inner join {{ ref('orders') }} as orders on items.order_key = orders.order_key
    where items.product_id is not null and not orders.is_test
    group by items.shop

),

products as (

    select
        shop,
        sum(units) as units
    from {{ ref('daily_product') }}
    group by shop

)

select items.shop
from items
left join products on items.shop = products.shop
where
    {{ counts_all_days('items.shop') }}
    and coalesce(items.units, 0) <> coalesce(products.units, 0)
