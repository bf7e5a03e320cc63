{#-
    All orders except tests: those the pixel saw, and those that only the Admin API knows (a thank-you page that was
    never loaded, the point of sale, subscriptions). The latter belong to the person whom other pixel events link to
    their customer or checkout token.
-#}

with

orders as (

    select * from {{ ref('orders') }}

),

reconciled as (

    select * from {{ ref('int_orders_reconciled') }}

),

admin_orders as (

    select * from {{ ref('stg_shopify__orders') }}

),

identity_map as (

    select * from {{ ref('identity_map') }}

),

sold as (

    select
        order_key,
        case when count(cost_amount) = count(*) then sum(cost_amount) end as cost_amount
    from {{ ref('int_sold_lines') }}
    group by order_key

),

discounted as (

    select distinct event_key
    from {{ ref('int_order_discounts') }}

),

shops as (

    select * from {{ ref('stg_shops__shops') }}

),

pixel_orders as (

    select
        orders.shop,
        orders.order_key,
        orders.event_key,
        reconciled.admin_order_key,
        orders.journey_id,
        orders.is_first_order,
        orders.is_bot,
        orders.ordered_at,
        orders.local_date,
        coalesce(orders.currency, 'unknown') as currency,
        orders.lines_complete,
        orders.units,
        orders.subtotal_amount,
        orders.discount_amount,
        orders.shipping_discount_amount,
        case
            when
                discounted.event_key is not null
                or orders.discount_amount > 0
                or orders.shipping_discount_amount > 0
                then true
            when orders.discount_amount is not null then false
        end as is_discounted,
        orders.gross_total_amount as gross_amount,
        orders.refunded_amount,
        orders.cancelled_at,
        orders.net_total_amount as net_amount
    from orders
    left join reconciled on orders.order_key = reconciled.pixel_order_key
    left join discounted on orders.event_key = discounted.event_key
    where not orders.is_test

),

missed_orders as (

    select
        admin_orders.shop,
        admin_orders.order_key,
        cast(null as {{ dbt.type_string() }}) as event_key,
        admin_orders.order_key as admin_order_key,
        coalesce(customers.journey_id, tokens.journey_id) as journey_id,
        cast(null as boolean) as is_first_order,
        false as is_bot,
        admin_orders.processed_at as ordered_at,
        {{ local_date('admin_orders.processed_at', "coalesce(shops.timezone, 'UTC')") }} as local_date,
        coalesce(admin_orders.currency, 'unknown') as currency,
        true as lines_complete,
        cast(null as bigint) as units,
        admin_orders.subtotal_amount,
        admin_orders.discount_amount,
        cast(null as decimal(18, 4)) as shipping_discount_amount,
        admin_orders.discount_amount > 0 as is_discounted,
        admin_orders.original_total_amount as gross_amount,
        admin_orders.refunded_amount,
        admin_orders.cancelled_at,
        reconciled.net_amount
    from reconciled
    inner join admin_orders on reconciled.admin_order_key = admin_orders.order_key
    left join identity_map as customers
        on
            admin_orders.shop = customers.shop
            and admin_orders.customer_id = customers.identifier
            and customers.identifier_kind = 'customer'
    left join identity_map as tokens
        on
            admin_orders.shop = tokens.shop
            and admin_orders.checkout_token = tokens.identifier
            and tokens.identifier_kind = 'token'
    left join shops on admin_orders.shop = shops.shop
    where reconciled.pixel_order_key is null and not admin_orders.is_test and admin_orders.processed_at is not null

),

combined as (

    select * from pixel_orders

    union all

    select * from missed_orders

),

with_cost as (

    select
        combined.*,
        case when combined.lines_complete then sold.cost_amount end as cost_amount,
        case
            when combined.journey_id is not null
                then row_number() over (
                    partition by combined.journey_id order by combined.ordered_at, combined.order_key
                )
        end as order_number
    from combined
    left join sold on combined.order_key = sold.order_key

),

with_margin as (

    select
        *,
        subtotal_amount - cost_amount as margin_amount
    from with_cost

)

select
    shop,
    order_key,
    event_key,
    admin_order_key,
    journey_id,
    order_number,
    coalesce(order_number > 1, false) or coalesce(not is_first_order, false) as is_repeat_order,
    is_bot,
    ordered_at,
    local_date,
    currency,
    units,
    subtotal_amount,
    discount_amount,
    shipping_discount_amount,
    is_discounted,
    gross_amount,
    refunded_amount,
    cancelled_at,
    net_amount,
    {{ money('cost_amount') }} as cost_amount,
    {{ money('margin_amount') }} as margin_amount,
    -- Revenue and cost of the refunded share are both left out: refunds do not name lines.
    {{ money("""
        case
            when gross_amount > 0 then cast(margin_amount as double) * cast(net_amount as double) / gross_amount
            when net_amount is not null then margin_amount
        end
    """) }} as net_margin_amount
from with_margin
