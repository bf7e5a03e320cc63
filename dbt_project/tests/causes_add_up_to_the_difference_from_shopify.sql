with

causes as (

    select
        shop,
        local_date,
        currency,
        sum(orders) as orders,
        sum(amount) as amount
    from {{ ref('reconciliation_causes') }}
    group by shop, local_date, currency

),

differences as (

    select
        shop,
        local_date,
        currency,
        shopify_orders - our_orders as orders,
        shopify_amount - our_amount as amount
    from {{ ref('order_reconciliation') }}

)

select
    coalesce(causes.shop, differences.shop) as shop,
    coalesce(causes.local_date, differences.local_date) as local_date,
    coalesce(causes.currency, differences.currency) as currency
from causes
full outer join differences
    on
        causes.shop = differences.shop
        and causes.local_date = differences.local_date
        and causes.currency = differences.currency
where
    (
        coalesce(causes.orders, 0) <> coalesce(differences.orders, 0)
        or coalesce(causes.amount, 0) <> coalesce(differences.amount, 0)
    )
    and {{ counts_all_days('coalesce(causes.shop, differences.shop)') }}
