with

completed as (

    select
        *,
        coalesce({{ shopify_id('order_gid') }}, order_gid) as own_order_id
    from {{ ref('int_checkout_events') }}
    where event_name = 'checkout_completed'

),

-- One checkout makes one order: an event without an order id takes the one that another event of its checkout names.
-- Where none does, the checkout token stands in; with neither, the event is an order of its own.
identified as (

    select
        *,
        coalesce(
            own_order_id,
            case
                when checkout_token is not null then min(own_order_id) over (partition by shop, checkout_token)
            end,
            'checkout:' || checkout_token,
            'event:' || event_id
        ) as order_id
    from completed

),

-- A thank-you page that is loaded again is no second order: the oldest event wins.
ranked as (

    select
        *,
        row_number() over (partition by shop, order_id order by event_at, event_id) as occurrence
    from identified

)

select
    {{ surrogate_key(['shop', 'order_id']) }} as order_key,
    shop,
    order_id,
    order_gid,
    checkout_token,
    customer_id,
    is_first_order,
    event_key,
    session_id,
    client_id,
    event_at as ordered_at,
    event_date as order_date,
    currency,
    subtotal_amount,
    discount_amount,
    shipping_amount,
    tax_amount,
    total_amount
from ranked
where occurrence = 1
