{#-
    Orders of the pixel and of the Admin API, matched by order id, else by checkout token; one row per order. Only
    orders that both could have seen are compared: from the shop's first event and first Admin order until ten minutes
    before its orders were last fetched (to allow for delays of events and of Shopify's search), without test orders and
    orders of other channels that the pixel did not see.
-#}

with

pixel_orders as (

    select * from {{ ref('int_orders_deduplicated') }}

),

admin_orders as (

    select * from {{ ref('stg_shopify__orders') }}

),

last_fetches as (

    select
        shop,
        max(cast(began_at as timestamp)) as fetched_until
    from {{ source('shopify', 'fetches') }}
    where subject = 'orders' and error is null
    group by shop

),

-- A single browser with a wrong clock must not set the first day.
days_with_events as (

    select
        shop,
        local_date,
        min(started_at) as first_event_at
    from {{ ref('int_sessions') }}
    group by shop, local_date
    having count(distinct client_id) > 1

),

first_events as (

    select
        shop,
        min(first_event_at) as first_event_at
    from days_with_events
    group by shop

),

first_orders as (

    select
        shop,
        min(created_at) as first_order_at
    from admin_orders
    group by shop

),

windows as (

    select
        last_fetches.shop,
        greatest(
            first_events.first_event_at, coalesce(first_orders.first_order_at, first_events.first_event_at)
        ) as compared_from,
        last_fetches.fetched_until - interval '10' minute as compared_until
    from last_fetches
    inner join first_events on last_fetches.shop = first_events.shop
    left join first_orders on last_fetches.shop = first_orders.shop

),

same_id as (

    select
        pixel_orders.order_key as pixel_order_key,
        admin_orders.order_key as admin_order_key,
        'order_id' as matched_by
    from pixel_orders
    inner join admin_orders on pixel_orders.order_key = admin_orders.order_key

),

-- Several orders on either side may have the same token: match them in order, first with first.
pixel_left as (

    select
        pixel_orders.order_key,
        pixel_orders.shop,
        pixel_orders.checkout_token,
        row_number() over (
            partition by pixel_orders.shop, pixel_orders.checkout_token
            order by pixel_orders.ordered_at, pixel_orders.order_key
        ) as token_rank
    from pixel_orders
    left join same_id on pixel_orders.order_key = same_id.pixel_order_key
    where same_id.pixel_order_key is null and pixel_orders.checkout_token is not null

),

admin_left as (

    select
        admin_orders.order_key,
        admin_orders.shop,
        admin_orders.checkout_token,
        row_number() over (
            partition by admin_orders.shop, admin_orders.checkout_token
            order by admin_orders.processed_at, admin_orders.order_key
        ) as token_rank
    from admin_orders
    left join same_id on admin_orders.order_key = same_id.admin_order_key
    where same_id.admin_order_key is null and admin_orders.checkout_token is not null

),

same_token as (

    select
        pixel_left.order_key as pixel_order_key,
        admin_left.order_key as admin_order_key,
        'checkout_token' as matched_by
    from pixel_left
    inner join admin_left
        on
            pixel_left.shop = admin_left.shop
            and pixel_left.checkout_token = admin_left.checkout_token
            and pixel_left.token_rank = admin_left.token_rank

),

matches as (

    select * from same_id

    union all

    select * from same_token

),

paired as (

    select
        coalesce(admin_orders.shop, pixel_orders.shop) as shop,
        pixel_orders.order_key as pixel_order_key,
        admin_orders.order_key as admin_order_key,
        matches.matched_by,
        coalesce(admin_orders.processed_at, pixel_orders.ordered_at) as ordered_at,
        coalesce(admin_orders.currency, pixel_orders.currency) as currency,
        pixel_orders.local_date as pixel_local_date,
        pixel_orders.currency as pixel_currency,
        pixel_orders.total_amount as pixel_amount,
        admin_orders.processed_at as admin_ordered_at,
        admin_orders.currency as admin_currency,
        admin_orders.original_total_amount as admin_amount,
        admin_orders.total_amount as admin_current_amount,
        admin_orders.checkout_token as admin_checkout_token,
        admin_orders.refunded_amount,
        admin_orders.cancelled_at,
        case
            when admin_orders.cancelled_at is not null then admin_orders.net_payment_amount
            else admin_orders.total_amount - coalesce(admin_orders.refunded_amount, 0)
        end as net_amount,
        admin_orders.source_name,
        admin_orders.is_test
    from pixel_orders
    left join matches on pixel_orders.order_key = matches.pixel_order_key
    full outer join admin_orders on matches.admin_order_key = admin_orders.order_key

)

select
    coalesce(paired.admin_order_key, paired.pixel_order_key) as order_key,
    paired.shop,
    paired.pixel_order_key,
    paired.admin_order_key,
    paired.matched_by,
    paired.ordered_at,
    paired.currency,
    paired.pixel_local_date,
    paired.pixel_currency,
    paired.pixel_amount,
    paired.admin_ordered_at,
    paired.admin_currency,
    paired.admin_amount,
    paired.admin_current_amount,
    paired.admin_checkout_token,
    paired.source_name,
    paired.refunded_amount,
    paired.cancelled_at,
    paired.is_test,
    {{ money('paired.net_amount') }} as net_amount,
    case
        when paired.is_test then 'not_compared: test'
        when paired.pixel_order_key is null and coalesce(paired.source_name, 'unknown') <> 'web'
            then 'not_compared: ' || coalesce(paired.source_name, 'unknown')
        when windows.shop is null then 'not_compared: no Admin orders'
        when paired.ordered_at < windows.compared_from or paired.ordered_at >= windows.compared_until
            then 'not_compared: only one side was watching'
        when paired.pixel_order_key is null then 'missing_in_pixel'
        when paired.admin_order_key is null then 'pixel_only'
        when paired.pixel_amount = paired.admin_amount and paired.pixel_currency = paired.admin_currency then 'matched'
        else 'amount_differs'
    end as outcome
from paired
left join windows on paired.shop = windows.shop
