with

cohorts as (

    select
        shop,
        sum(orders) as orders,
        sum(sales_amount) as sales_amount
    from {{ ref('cohorts') }}
    where cohort_kind = 'customers' and segment_kind = 'all'
    group by shop

),

orders as (

    select
        orders.shop,
        count(*) as orders,
        sum(case when orders.currency = shops.currency then coalesce(orders.gross_total_amount, 0) else 0 end)
            as sales_amount
    from {{ ref('orders') }} as orders
    inner join {{ ref('int_shop_today') }} as today
        on
            orders.shop = today.shop
            and {{ dbt.date_trunc('month', 'orders.local_date') }} <= {{ dbt.date_trunc('month', 'today.today') }}
    left join {{ ref('shops') }} as shops on orders.shop = shops.shop
    where orders.journey_id is not null and not orders.is_test
    group by orders.shop

)

select orders.shop
from orders
left join cohorts on orders.shop = cohorts.shop
where orders.orders is distinct from cohorts.orders or orders.sales_amount is distinct from cohorts.sales_amount
