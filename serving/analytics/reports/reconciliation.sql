-- title: Orders in Shopify and here
-- description: Orders in Shopify and orders reported by the pixel, by date.
-- filters:
-- local_date: Date
-- currency: Currency
-- admin_orders: Orders in Shopify | count
-- pixel_orders: Orders from the pixel | count
-- missing_in_pixel: Missing here | count
-- missing_share: Share missing here | share
-- missing_amount: Amount missing here | money
-- pixel_only: Here only | count
-- amounts_differ: Amounts differ | count

select
    local_date,
    currency,
    admin_orders,
    pixel_orders,
    missing_in_pixel,
    missing_share,
    missing_amount,
    pixel_only,
    amounts_differ
from operations.order_reconciliation
where shop = $shop and local_date between $first and $last
order by local_date, currency
