with

orders as (

    select * from {{ ref('int_orders_combined') }}
    where journey_id is not null

),

journeys as (

    select * from {{ ref('user_journeys') }}

),

first_orders as (

    select * from orders
    where order_number = 1

),

-- The product with the highest amount of the first order, so that every person has one first product.
product_amounts as (

    select
        first_orders.journey_id,
        lines.product_id,
        sum(lines.amount) as amount
    from first_orders
    inner join {{ ref('int_sold_lines') }} as lines on first_orders.order_key = lines.order_key
    where lines.product_id is not null
    group by first_orders.journey_id, lines.product_id

),

first_products as (

    select
        journey_id,
        {{ earliest('product_id', ['-coalesce(amount, 0)', 'product_id']) }} as product_id
    from product_amounts
    group by journey_id

),

first_codes as (

    select
        first_orders.journey_id,
        {{ earliest('discounts.discount', ['-coalesce(discounts.discount_amount, 0)', 'discounts.discount']) }} as code
    from first_orders
    inner join {{ ref('int_order_discounts') }} as discounts on first_orders.event_key = discounts.event_key
    where discounts.discount_kind = 'code'
    group by first_orders.journey_id

),

first_visits as (

    select
        visits.journey_id,
        min(visits.local_date) as local_date
    from {{ ref('int_visits') }} as visits
    inner join {{ ref('int_sessions') }} as sessions on visits.session_id = sessions.session_id
    where not sessions.is_bot
    group by visits.journey_id

),

refunds as (

    select
        order_key,
        max(refunded_at) as last_refunded_at
    from {{ ref('stg_shopify__refunds') }}
    group by order_key

),

summed as (

    select
        orders.shop,
        orders.journey_id,
        orders.currency,
        count(*) as orders,
        count(*) filter (where orders.event_key is null) as orders_missed_by_pixel,
        count(*) filter (where orders.is_repeat_order) as returning_orders,
        count(*) filter (where orders.is_discounted) as discounted_orders,
        max(orders.ordered_at) as last_ordered_at,
        sum(orders.gross_amount) as gross_amount,
        sum(case when not orders.is_repeat_order then orders.gross_amount else 0 end) as new_gross_amount,
        sum(case when orders.is_repeat_order then orders.gross_amount else 0 end) as returning_gross_amount,
        count(orders.net_amount) = count(*) as is_net_known,
        max(refunds.last_refunded_at) as last_refunded_at,
        sum(orders.refunded_amount) as refunded_amount,
        sum(orders.net_amount) as net_amount,
        sum(case when not orders.is_repeat_order then orders.net_amount else 0 end) as new_net_amount,
        sum(case when orders.is_repeat_order then orders.net_amount else 0 end) as returning_net_amount,
        count(orders.margin_amount) = count(*) as is_margin_known,
        sum(orders.margin_amount) as margin_amount,
        count(orders.net_margin_amount) = count(*) as is_net_margin_known,
        sum(orders.net_margin_amount) as net_margin_amount
    from orders
    left join refunds on orders.admin_order_key = refunds.order_key
    group by orders.shop, orders.journey_id, orders.currency

)

select
    {{ surrogate_key(['summed.shop', 'summed.journey_id', 'summed.currency']) }} as customer_value_key,
    summed.shop,
    summed.journey_id,
    journeys.customer_id,
    summed.currency,
    first_orders.ordered_at as first_ordered_at,
    cast({{ dbt.date_trunc('month', 'first_orders.local_date') }} as date) as cohort_month,
    case
        when first_visits.local_date <= first_orders.local_date
            then {{ elapsed('day', 'first_visits.local_date', 'first_orders.local_date') }}
    end as days_to_first_order,
    first_products.product_id as first_product_id,
    case
        when first_orders.is_discounted is not null and first_orders.event_key is not null
            then coalesce(first_codes.code, 'none')
    end as first_discount_code,
    journeys.first_touch_channel as first_channel,
    journeys.first_landing_path,
    journeys.first_device,
    summed.last_ordered_at,
    summed.orders,
    summed.orders_missed_by_pixel,
    summed.returning_orders,
    summed.discounted_orders,
    {{ total('summed.gross_amount') }} as gross_amount,
    {{ total('summed.new_gross_amount') }} as new_gross_amount,
    {{ total('summed.returning_gross_amount') }} as returning_gross_amount,
    summed.last_refunded_at,
    {% for amount in ['refunded_amount', 'net_amount', 'new_net_amount', 'returning_net_amount'] %}
        {{ total('case when summed.is_net_known then summed.' ~ amount ~ ' end') }} as {{ amount }},
    {% endfor %}
    {{ total('case when summed.is_margin_known then summed.margin_amount end') }} as margin_amount,
    {{ total('case when summed.is_net_margin_known then summed.net_margin_amount end') }} as net_margin_amount
from summed
inner join first_orders on summed.journey_id = first_orders.journey_id
inner join journeys on summed.journey_id = journeys.journey_id
left join first_products on summed.journey_id = first_products.journey_id
left join first_codes on summed.journey_id = first_codes.journey_id
left join first_visits on summed.journey_id = first_visits.journey_id
