{#- The current orders. core.orders holds the previous version until the changed days are known. -#}

with

orders as (

    select * from {{ ref('int_orders_deduplicated') }}

),

identity_map as (

    select * from {{ ref('identity_map') }}

),

-- Later refunds and cancellations, if the Admin API's orders are loaded.
aftermath as (

    select
        pixel_order_key,
        admin_currency,
        cancelled_at,
        refunded_amount,
        net_amount,
        is_test
    from {{ ref('int_orders_reconciled') }}
    where pixel_order_key is not null and admin_order_key is not null

),

amounts as (

    select * from {{ ref('int_order_amounts') }}

),

sessions as (

    select
        session_id,
        is_bot
    from {{ ref('int_sessions') }}

),

shops as (

    select * from {{ ref('stg_shops__shops') }}

),

-- Customers may share a browser: prefer the customer's journey, then the checkout's, then the browser's.
with_journey as (

    select
        orders.*,
        coalesce(customers.journey_id, tokens.journey_id, clients.journey_id) as journey_id
    from orders
    left join identity_map as customers
        on
            orders.shop = customers.shop
            and orders.customer_id = customers.identifier
            and customers.identifier_kind = 'customer'
    left join identity_map as tokens
        on
            orders.shop = tokens.shop
            and orders.checkout_token = tokens.identifier
            and tokens.identifier_kind = 'token'
    left join identity_map as clients
        on
            orders.shop = clients.shop
            and orders.client_id = clients.identifier
            and clients.identifier_kind = 'client'

),

with_aftermath as (

    select
        with_journey.*,
        case when aftermath.admin_currency = with_journey.currency then aftermath.refunded_amount end
            as refunded_amount,
        aftermath.cancelled_at,
        case when aftermath.admin_currency = with_journey.currency then aftermath.net_amount end as net_total_amount,
        coalesce(aftermath.is_test, false) as is_test
    from with_journey
    left join aftermath on with_journey.order_key = aftermath.pixel_order_key

),

-- Test orders are not numbered and do not make later orders repeat orders.
numbered as (

    select
        *,
        case
            when journey_id is not null and not is_test
                then row_number() over (partition by journey_id, is_test order by ordered_at, order_key)
        end as order_number
    from with_aftermath

)

select
    numbered.order_key,
    numbered.shop,
    numbered.order_id,
    numbered.order_gid,
    numbered.checkout_token,
    numbered.customer_id,
    numbered.is_first_order,
    numbered.event_key,
    numbered.session_id,
    numbered.client_id,
    numbered.journey_id,
    numbered.order_number,
    coalesce(numbered.order_number > 1, false) or coalesce(not numbered.is_first_order, false) as is_repeat_order,
    numbered.ordered_at,
    {{ local_time('numbered.ordered_at', "coalesce(shops.timezone, 'UTC')") }} as ordered_local_at,
    numbered.local_date,
    coalesce(amounts.line_items, 0) as line_items,
    coalesce(amounts.units, 0) as units,
    amounts.lines_complete,
    amounts.amount_basis,
    numbered.currency,
    numbered.subtotal_amount,
    amounts.discount_amount,
    amounts.shipping_discount_amount,
    numbered.shipping_amount,
    numbered.tax_amount,
    numbered.total_amount as gross_total_amount,
    numbered.refunded_amount,
    numbered.cancelled_at,
    numbered.net_total_amount,
    coalesce(sessions.is_bot, false) as is_bot,
    numbered.is_test
from numbered
left join amounts on numbered.event_key = amounts.event_key
left join sessions on numbered.session_id = sessions.session_id
left join shops on numbered.shop = shops.shop
