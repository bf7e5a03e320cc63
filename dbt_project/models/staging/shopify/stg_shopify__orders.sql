{{ config(materialized='table') }}

{% set fields = {
    'checkout_token': '$.checkoutToken',
    'source_name': '$.sourceName',
    'is_test': '$.test',
    'customer_gid': '$.customer.id',
    'currency': '$.presentmentCurrencyCode',
    'original_total_amount': '$.originalTotalPriceSet.presentmentMoney.amount',
    'total_amount': '$.totalPriceSet.presentmentMoney.amount',
    'net_payment_amount': '$.netPaymentSet.presentmentMoney.amount',
    'subtotal_amount': '$.subtotalPriceSet.presentmentMoney.amount',
    'discount_amount': '$.totalDiscountsSet.presentmentMoney.amount',
    'shipping_amount': '$.totalShippingPriceSet.presentmentMoney.amount',
    'tax_amount': '$.totalTaxSet.presentmentMoney.amount',
    'refunded_amount': '$.totalRefundedSet.presentmentMoney.amount',
    'created_at': '$.createdAt',
    'processed_at': '$.processedAt',
    'cancelled_at': '$.cancelledAt',
    'updated_at': '$.updatedAt',
} %}

with

answers as (

    select
        shop,
        {{ shopify_id('id') }} as order_id,
        cast(fetched_at as timestamp) as fetched_at,
        {{ json_part('node', '$.refunds') }} as refunds,
        {{ json_texts('node', fields.values() | list) }} as texts
    from {{ source('shopify', 'orders') }}
    where {{ is_built('shop') }}

),

named as (

    select
        shop,
        order_id,
        fetched_at,
        refunds,
        {{ json_columns('texts', fields) }}
    from answers

),

numbered as (

    select
        *,
        row_number() over (partition by shop, order_id order by fetched_at desc, updated_at desc) as age_rank
    from named
    where order_id is not null

)

select
    {{ surrogate_key(['shop', 'order_id']) }} as order_key,
    shop,
    order_id,
    nullif(checkout_token, '') as checkout_token,
    source_name,
    coalesce(try_cast(is_test as boolean), false) as is_test,
    {{ shopify_id('customer_gid') }} as customer_id,
    currency,
    {{ money('original_total_amount') }} as original_total_amount,
    {{ money('total_amount') }} as total_amount,
    {{ money('net_payment_amount') }} as net_payment_amount,
    {{ money('subtotal_amount') }} as subtotal_amount,
    {{ money('discount_amount') }} as discount_amount,
    {{ money('shipping_amount') }} as shipping_amount,
    {{ money('tax_amount') }} as tax_amount,
    {{ money('refunded_amount') }} as refunded_amount,
    {{ utc_timestamp('created_at') }} as created_at,
    {{ utc_timestamp('processed_at') }} as processed_at,
    {{ utc_timestamp('cancelled_at') }} as cancelled_at,
    {{ utc_timestamp('updated_at') }} as updated_at,
    refunds
from numbered
where age_rank = 1
