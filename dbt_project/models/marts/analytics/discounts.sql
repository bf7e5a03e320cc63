with

orders as (

    select * from {{ ref('int_orders_combined') }}
    where not is_bot

),

order_discounts as (

    select * from {{ ref('int_order_discounts') }}

),

-- What each person bought after an order.
later as (

    select
        order_key,
        sum(1) over following as later_orders,
        sum(case when not is_discounted then 1 else 0 end) over following as later_full_price_orders,
        sum(case when not is_discounted then gross_amount else 0 end) over following as later_full_price_amount,
        sum(case when is_discounted then gross_amount else 0 end) over following as later_discounted_amount
    from orders
    where journey_id is not null
    window
        following as (
            partition by journey_id, currency
            order by order_number
            rows between 1 following and unbounded following
        )

),

uses as (

    select
        orders.*,
        order_discounts.discount_kind,
        order_discounts.discount,
        order_discounts.discount_amount as used_amount,
        order_discounts.shipping_discount_amount as used_shipping_amount
    from order_discounts
    inner join orders on order_discounts.event_key = orders.event_key

    union all

    select
        *,
        case is_discounted
            when true then 'any'
            when false then 'none'
            else 'not reported'
        end as discount_kind,
        '*' as discount,
        discount_amount as used_amount,
        shipping_discount_amount as used_shipping_amount
    from orders

),

totals as (

    select
        shop,
        currency,
        count(*) as orders
    from orders
    group by shop, currency

),

counted as (

    select
        shop,
        currency,
        discount_kind,
        discount,
        min(local_date) as first_used_on,
        max(local_date) as last_used_on,
        count(*) as orders,
        count(*) filter (where journey_id is not null and not is_repeat_order) as new_orders,
        count(*) filter (where is_repeat_order) as returning_orders,
        sum(used_amount) as discount_amount,
        sum(used_shipping_amount) as shipping_discount_amount,
        sum(case when used_amount is not null then subtotal_amount + discount_amount end) as amount_before_discounts,
        sum(gross_amount) as gross_amount
    from uses
    group by shop, currency, discount_kind, discount

),

persons as (

    select
        shop,
        currency,
        discount_kind,
        discount,
        journey_id,
        {{ earliest('order_key', ['order_number']) }} as first_order_key
    from uses
    where journey_id is not null
    group by shop, currency, discount_kind, discount, journey_id

),

habits as (

    select
        journey_id,
        currency,
        count(*) > 1 as is_repeat_buyer,
        count(*) > 1 and count(*) filter (where is_discounted) = count(*) as is_never_at_full_price
    from orders
    where journey_id is not null
    group by journey_id, currency

),

aftermath as (

    select
        persons.shop,
        persons.currency,
        persons.discount_kind,
        persons.discount,
        count(*) as people,
        count(*) filter (where habits.is_repeat_buyer) as repeat_buyers,
        count(*) filter (where habits.is_never_at_full_price) as never_at_full_price,
        count(*) filter (where later.later_orders > 0) as people_ordering_later,
        cast(coalesce(sum(later.later_orders), 0) as bigint) as later_orders,
        cast(coalesce(sum(later.later_full_price_orders), 0) as bigint) as later_full_price_orders,
        coalesce(sum(later.later_full_price_amount), 0) as later_full_price_amount,
        coalesce(sum(later.later_discounted_amount), 0) as later_discounted_amount
    from persons
    inner join later on persons.first_order_key = later.order_key
    inner join habits on persons.journey_id = habits.journey_id and persons.currency = habits.currency
    group by persons.shop, persons.currency, persons.discount_kind, persons.discount

)

select
    {{ surrogate_key(['counted.shop', 'counted.currency', 'counted.discount_kind', 'counted.discount']) }}
        as discount_key,
    counted.shop,
    counted.currency,
    counted.discount_kind,
    counted.discount,
    counted.first_used_on,
    counted.last_used_on,
    counted.orders,
    cast(counted.orders as double) / totals.orders as share_of_orders,
    counted.new_orders,
    counted.returning_orders,
    {{ total('counted.discount_amount') }} as discount_amount,
    {{ total('counted.shipping_discount_amount') }} as shipping_discount_amount,
    {{ total('counted.amount_before_discounts') }} as amount_before_discounts,
    cast(counted.discount_amount as double) / nullif(counted.amount_before_discounts, 0) as discount_depth,
    {{ total('counted.gross_amount') }} as gross_amount,
    coalesce(aftermath.people, 0) as people,
    coalesce(aftermath.repeat_buyers, 0) as repeat_buyers,
    coalesce(aftermath.never_at_full_price, 0) as never_at_full_price,
    coalesce(aftermath.people_ordering_later, 0) as people_ordering_later,
    coalesce(aftermath.later_orders, 0) as later_orders,
    coalesce(aftermath.later_full_price_orders, 0) as later_full_price_orders,
    {{ total('coalesce(aftermath.later_full_price_amount, 0)') }} as later_full_price_amount,
    {{ total('coalesce(aftermath.later_discounted_amount, 0)') }} as later_discounted_amount,
    cast(aftermath.later_full_price_amount as double) / nullif(aftermath.people, 0) as later_full_price_per_person
from counted
inner join totals on counted.shop = totals.shop and counted.currency = totals.currency
left join aftermath
    on
        counted.shop = aftermath.shop
        and counted.currency = aftermath.currency
        and counted.discount_kind = aftermath.discount_kind
        and counted.discount = aftermath.discount
