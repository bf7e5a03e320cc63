with

orders as (

    select * from {{ ref('reconciled_orders') }}

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

)

select
    {{ surrogate_key(['shop', 'local_date', 'currency']) }} as reconciliation_key,
    shop,
    local_date,
    currency,
    admin_orders,
    pixel_orders,
    matched_orders,
    matched_by_order_id,
    matched_by_checkout_token,
    missing_in_pixel,
    cast(missing_in_pixel as double) / nullif(admin_orders, 0) as missing_share,
    {{ total('missing_amount') }} as missing_amount,
    pixel_only,
    {{ total('pixel_only_amount') }} as pixel_only_amount,
    amounts_differ,
    {{ total('amount_difference') }} as amount_difference
from counted
