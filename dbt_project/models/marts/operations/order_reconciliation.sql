with

orders as (

    select * from {{ ref('reconciled_orders') }}

),

fetched_shops as (

    select distinct shop
    from {{ source('shopify', 'fetches') }}
    where subject = 'orders' and error is null

),

shops as (

    select * from {{ ref('shops') }}

),

-- All orders that Shopify lists; reconciliation_causes adds up to their difference from all that we have.
listed as (

    select
        admin.shop,
        coalesce(
            {{ local_date('admin.admin_ordered_at', "coalesce(shops.timezone, 'UTC')") }}, admin.pixel_local_date
        ) as local_date,
        coalesce(admin.admin_currency, 'unknown') as currency,
        coalesce(admin.admin_current_amount, admin.admin_amount, 0) as amount
    from {{ ref('int_orders_reconciled') }} as admin
    inner join fetched_shops on admin.shop = fetched_shops.shop
    left join shops on admin.shop = shops.shop
    where admin.admin_order_key is not null and admin.cancelled_at is null

),

shopify as (

    select
        shop,
        local_date,
        currency,
        count(*) as orders,
        sum(amount) as amount
    from listed
    where local_date is not null
    group by shop, local_date, currency

),

ours as (

    select
        sales.shop,
        sales.local_date,
        sales.currency,
        sales.orders,
        sales.gross_total_amount as amount
    from {{ ref('daily_sales') }} as sales
    inner join fetched_shops on sales.shop = fetched_shops.shop

),

counted as (

    select
        shop,
        local_date,
        coalesce(currency, 'unknown') as currency,
        count(*) filter (where admin_order_key is not null) as admin_orders,
        count(*) filter (where pixel_order_key is not null) as pixel_orders,
        count(*) filter (where matched_by is not null) as matched_orders,
        count(*) filter (where matched_by = 'order_id') as matched_by_order_id,
        count(*) filter (where matched_by = 'checkout_token') as matched_by_checkout_token,
        count(*) filter (where outcome = 'missing_in_pixel') as missing_in_pixel,
        coalesce(sum(admin_amount) filter (where outcome = 'missing_in_pixel'), 0) as missing_amount,
        count(*) filter (where outcome = 'pixel_only') as pixel_only,
        coalesce(sum(pixel_amount) filter (where outcome = 'pixel_only'), 0) as pixel_only_amount,
        count(*) filter (where outcome = 'amount_differs') as amounts_differ,
        coalesce(
            sum(pixel_amount - admin_amount) filter (where outcome = 'amount_differs' and pixel_currency = currency), 0
        ) as amount_difference
    from orders
    where outcome in ('matched', 'amount_differs', 'missing_in_pixel', 'pixel_only')
    group by shop, local_date, coalesce(currency, 'unknown')

),

days as (

    select
        shop,
        local_date,
        currency
    from counted

    union

    select
        shop,
        local_date,
        currency
    from shopify

    union

    select
        shop,
        local_date,
        currency
    from ours

)

select
    {{ surrogate_key(['days.shop', 'days.local_date', 'days.currency']) }} as reconciliation_key,
    days.shop,
    days.local_date,
    days.currency,
    coalesce(shopify.orders, 0) as shopify_orders,
    {{ total('coalesce(shopify.amount, 0)') }} as shopify_amount,
    coalesce(ours.orders, 0) as our_orders,
    {{ total('coalesce(ours.amount, 0)') }} as our_amount,
    coalesce(counted.admin_orders, 0) as admin_orders,
    coalesce(counted.pixel_orders, 0) as pixel_orders,
    coalesce(counted.matched_orders, 0) as matched_orders,
    coalesce(counted.matched_by_order_id, 0) as matched_by_order_id,
    coalesce(counted.matched_by_checkout_token, 0) as matched_by_checkout_token,
    coalesce(counted.missing_in_pixel, 0) as missing_in_pixel,
    cast(counted.missing_in_pixel as double) / nullif(counted.admin_orders, 0) as missing_share,
    {{ total('coalesce(counted.missing_amount, 0)') }} as missing_amount,
    coalesce(counted.pixel_only, 0) as pixel_only,
    {{ total('coalesce(counted.pixel_only_amount, 0)') }} as pixel_only_amount,
    coalesce(counted.amounts_differ, 0) as amounts_differ,
    {{ total('coalesce(counted.amount_difference, 0)') }} as amount_difference
from days
left join shopify
    on days.shop = shopify.shop and days.local_date = shopify.local_date and days.currency = shopify.currency
left join ours on days.shop = ours.shop and days.local_date = ours.local_date and days.currency = ours.currency
left join counted
    on days.shop = counted.shop and days.local_date = counted.local_date and days.currency = counted.currency
