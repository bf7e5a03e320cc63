with

orders as (

    select
        shop,
        coalesce(currency, 'unknown') as currency,
        count(*) as orders,
        sum(coalesce(gross_total_amount, 0)) as gross_total_amount
    from {{ ref('orders') }}
    where not is_test
    group by shop, coalesce(currency, 'unknown')

),

sales as (

    select
        shop,
        currency,
        sum(orders) as orders,
        sum(gross_total_amount) as gross_total_amount
    from {{ ref('daily_sales') }}
    group by shop, currency

),

days as (

    select
        shop,
        currency,
        sum(gross_sales_amount) as gross_sales_amount
    from {{ ref('daily_shop') }}
    group by shop, currency

)

select
    coalesce(orders.shop, sales.shop) as shop,
    coalesce(orders.currency, sales.currency) as currency
from orders
full outer join sales on orders.shop = sales.shop and orders.currency = sales.currency
left join days on orders.shop = days.shop and orders.currency = days.currency
where
    {{ counts_all_days('coalesce(orders.shop, sales.shop)') }}
    and (
        orders.orders is distinct from sales.orders
        or orders.gross_total_amount is distinct from sales.gross_total_amount
        or days.gross_sales_amount <> orders.gross_total_amount
    )
