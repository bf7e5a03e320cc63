{% set checkout_fields = {
    'order_gid': '$.data.checkout.order.id',
    'checkout_token': '$.data.checkout.token',
    'customer_gid': '$.data.checkout.order.customer.id',
    'is_first_order': '$.data.checkout.order.customer.isFirstOrder',
    'checkout_currency': '$.data.checkout.currencyCode',
    'total_currency': '$.data.checkout.totalPrice.currencyCode',
    'subtotal_amount': '$.data.checkout.subtotalPrice.amount',
    'discount_amount': '$.data.checkout.discountsAmount.amount',
    'shipping_amount': '$.data.checkout.shippingLine.price.amount',
    'tax_amount': '$.data.checkout.totalTax.amount',
    'total_amount': '$.data.checkout.totalPrice.amount',
} %}

with

completed as (

    select
        event_key,
        shop,
        event_id,
        event_at,
        client_id,
        event,
        {{ json_texts('event', checkout_fields.values() | list) }} as texts
    from {{ ref('stg_pixel__events') }}
    where event_name = 'checkout_completed'

),

named as (

    select
        event_key,
        shop,
        event_id,
        event_at,
        client_id,
        event,
        {{ json_columns('texts', checkout_fields) }}
    from completed

),

with_own_id as (

    select
        *,
        coalesce({{ shopify_id('order_gid') }}, nullif(order_gid, '')) as own_order_id
    from named

),

-- One checkout makes one order: an event without an order id takes the one that another event of its checkout names.
-- Where none does, the checkout token stands in; with neither, the event is an order of its own.
identified as (

    select
        *,
        coalesce(
            own_order_id,
            case
                when checkout_token <> '' then min(own_order_id) over (partition by shop, checkout_token)
            end,
            'checkout:' || nullif(checkout_token, ''),
            'event:' || event_id
        ) as order_id
    from with_own_id

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
    nullif(checkout_token, '') as checkout_token,
    {{ shopify_id('customer_gid') }} as customer_id,
    try_cast(is_first_order as boolean) as is_first_order,
    event_key,
    event_at as ordered_at,
    client_id,
    coalesce(checkout_currency, total_currency) as currency,
    {{ money('subtotal_amount') }} as subtotal_amount,
    {{ money('discount_amount') }} as discount_amount,
    {{ money('shipping_amount') }} as shipping_amount,
    {{ money('tax_amount') }} as tax_amount,
    {{ money('total_amount') }} as total_amount,
    event
from ranked
where occurrence = 1
