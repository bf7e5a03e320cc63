{% set fields = {
    'refund_gid': '$.id',
    'refunded_at': '$.createdAt',
    'amount': '$.totalRefundedSet.presentmentMoney.amount',
} %}

with

orders as (

    select
        order_key,
        shop,
        order_id,
        currency,
        {{ json_array('refunds', '$') }} as refunds
    from {{ ref('stg_shopify__orders') }}

),

refunds as (

    {{ numbered_elements('orders', 'refunds', ['order_key', 'shop', 'order_id', 'currency']) }}

),

extracted as (

    select
        order_key,
        shop,
        order_id,
        element_number,
        currency,
        {{ json_texts('element', fields.values() | list) }} as texts
    from refunds

),

named as (

    select
        order_key,
        shop,
        order_id,
        element_number,
        currency,
        {{ json_columns('texts', fields) }}
    from extracted

)

select
    {{ surrogate_key(['shop', 'order_id', 'element_number']) }} as refund_key,
    order_key,
    shop,
    order_id,
    {{ shopify_id('refund_gid') }} as refund_id,
    {{ utc_timestamp('refunded_at') }} as refunded_at,
    {{ money('amount') }} as amount,
    currency
from named
