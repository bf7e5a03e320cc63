{#-
    Compares what each order adds to our figures of a date and currency (core.orders) with what it adds to Shopify's
    (orders that are not cancelled, of all channels, at their current totals). An order on one side only has one cause.
    An order on both sides gets from our figure to Shopify's in steps: date, currency, total at checkout, edits,
    cancellation. Each step that changes something is a cause, so the causes add up to the difference by construction.
-#}

with

orders as (

    select * from {{ ref('int_orders_reconciled') }}

),

fetched_shops as (

    select distinct shop
    from {{ source('shopify', 'fetches') }}
    where subject = 'orders' and error is null

),

shops as (

    select * from {{ ref('shops') }}

),

-- If the checkout was seen, the pixel was running in its browser.
checkouts_seen as (

    select distinct
        shop,
        checkout_token
    from {{ ref('int_checkouts') }}
    where checkout_token is not null

),

compared as (

    select
        orders.shop,
        orders.pixel_order_key,
        orders.admin_order_key,
        orders.outcome,
        coalesce(orders.is_test, false) as is_test,
        coalesce(orders.source_name, 'unknown') as source_name,
        orders.admin_checkout_token,
        checkouts_seen.checkout_token is not null as is_checkout_seen,
        orders.cancelled_at is not null as is_cancelled,
        orders.pixel_local_date,
        coalesce(orders.pixel_currency, 'unknown') as pixel_currency,
        coalesce(orders.pixel_amount, 0) as pixel_amount,
        coalesce(
            {{ local_date('orders.admin_ordered_at', "coalesce(shops.timezone, 'UTC')") }}, orders.pixel_local_date
        ) as admin_local_date,
        coalesce(orders.admin_currency, 'unknown') as admin_currency,
        coalesce(orders.admin_amount, orders.admin_current_amount, 0) as checkout_amount,
        coalesce(orders.admin_current_amount, orders.admin_amount, 0) as current_amount
    from orders
    inner join fetched_shops on orders.shop = fetched_shops.shop
    left join shops on orders.shop = shops.shop
    left join checkouts_seen
        on orders.shop = checkouts_seen.shop and orders.admin_checkout_token = checkouts_seen.checkout_token
    where orders.pixel_local_date is not null or orders.admin_ordered_at is not null

),

in_both as (

    select * from compared
    where pixel_order_key is not null and admin_order_key is not null and not is_test

),

differences as (

    -- Our figures leave out tests. A cancelled order that only Shopify has adds nothing to either side.
    select
        shop,
        admin_local_date as local_date,
        admin_currency as currency,
        case
            when is_test then 'test_order'
            when source_name <> 'web' then 'other_channel'
            when outcome <> 'missing_in_pixel' then 'outside_comparison'
            when is_checkout_seen then 'lost_thank_you_page'
            when admin_checkout_token is not null then 'no_consent'
            else 'unexplained'
        end as cause,
        source_name,
        1 as orders,
        current_amount as amount
    from compared
    where admin_order_key is not null and (pixel_order_key is null or is_test) and not is_cancelled

    union all

    select
        shop,
        pixel_local_date as local_date,
        pixel_currency as currency,
        case when outcome = 'pixel_only' then 'pixel_only' else 'outside_comparison' end as cause,
        'none' as source_name,
        -1 as orders,
        -pixel_amount as amount
    from compared
    where admin_order_key is null

    union all

    select
        shop,
        pixel_local_date as local_date,
        pixel_currency as currency,
        'other_date' as cause,
        source_name,
        -1 as orders,
        -pixel_amount as amount
    from in_both
    where pixel_local_date <> admin_local_date

    union all

    select
        shop,
        admin_local_date as local_date,
        pixel_currency as currency,
        'other_date' as cause,
        source_name,
        1 as orders,
        pixel_amount as amount
    from in_both
    where pixel_local_date <> admin_local_date

    union all

    select
        shop,
        admin_local_date as local_date,
        pixel_currency as currency,
        'other_currency' as cause,
        source_name,
        -1 as orders,
        -pixel_amount as amount
    from in_both
    where pixel_currency <> admin_currency

    union all

    select
        shop,
        admin_local_date as local_date,
        admin_currency as currency,
        'other_currency' as cause,
        source_name,
        1 as orders,
        checkout_amount as amount
    from in_both
    where pixel_currency <> admin_currency

    union all

    -- Both saw the same order at the same moment in one currency: no known cause explains a different total.
    select
        shop,
        admin_local_date as local_date,
        admin_currency as currency,
        'unexplained' as cause,
        source_name,
        0 as orders,
        checkout_amount - pixel_amount as amount
    from in_both
    where pixel_currency = admin_currency and checkout_amount <> pixel_amount

    union all

    select
        shop,
        admin_local_date as local_date,
        admin_currency as currency,
        'edited_later' as cause,
        source_name,
        0 as orders,
        current_amount - checkout_amount as amount
    from in_both
    where current_amount <> checkout_amount

    union all

    select
        shop,
        admin_local_date as local_date,
        admin_currency as currency,
        'cancelled_later' as cause,
        source_name,
        -1 as orders,
        -current_amount as amount
    from in_both
    where is_cancelled

)

select
    {{ surrogate_key(['shop', 'local_date', 'currency', 'cause', 'source_name']) }} as reconciliation_cause_key,
    shop,
    local_date,
    currency,
    cause,
    source_name,
    cast(count(*) as bigint) as affected_orders,
    cast(sum(orders) as bigint) as orders,
    {{ total('sum(amount)') }} as amount
from differences
group by shop, local_date, currency, cause, source_name
