with

as_of as (

    select * from {{ ref('int_as_of') }}

),

sessions as (

    select
        *,
        carted_open_at as first_added_at
    from {{ ref('int_sessions') }}
    where cart_adds > 0 and not is_bot

),

visits as (

    select * from {{ ref('int_visits') }}

),

actions as (

    select
        events.session_id,
        events.event_name,
        events.event_at,
        events.event_id,
        events.currency,
        case when events.event_name = 'product_added_to_cart' then 1 else -1 end as direction,
        coalesce(events.line_amount, {{ money(times('events.price', 'events.quantity')) }}) as amount,
        cast(events.quantity as bigint) as quantity
    from {{ ref('int_events') }} as events
    inner join sessions on events.session_id = sessions.session_id
    where events.event_name in ('product_added_to_cart', 'product_removed_from_cart')

),

products as (

    select * from {{ ref('int_cart_products') }}

),

orders as (

    select * from {{ ref('orders') }}
    where not is_test

),

order_items as (

    select * from {{ ref('order_items') }}

),

-- A cart has the currency of what was put into it first, and its value in that currency.
currencies as (

    select
        session_id,
        {{ earliest('currency', ['event_at', 'event_id']) }} as currency
    from actions
    where event_name = 'product_added_to_cart' and currency is not null
    group by session_id

),

valued as (

    select
        actions.session_id,
        min(currencies.currency) as currency,
        sum(actions.direction * actions.quantity) as units,
        sum(case when actions.currency = currencies.currency then actions.direction * actions.amount end) as amount
    from actions
    left join currencies on actions.session_id = currencies.session_id
    group by actions.session_id

),

counted as (

    select
        session_id,
        count(*) as products
    from products
    group by session_id

),

-- What was ordered before anything was added is another purchase.
ordered as (

    select
        sessions.session_id,
        {{ earliest('orders.order_key', ['orders.ordered_at', 'orders.order_key']) }} as order_key
    from sessions
    inner join orders
        on sessions.session_id = orders.session_id and orders.ordered_at >= sessions.first_added_at
    group by sessions.session_id

),

-- Somebody came back for it: the same person ordered one of the products within a week.
recoveries as (

    select
        sessions.session_id,
        {{ earliest('orders.order_key', ['orders.ordered_at', 'orders.order_key']) }} as order_key
    from sessions
    inner join visits on sessions.session_id = visits.session_id
    inner join products on sessions.session_id = products.session_id
    inner join orders
        on
            visits.journey_id = orders.journey_id
            and orders.ordered_at >= sessions.last_cart_action_at
            and orders.ordered_at <= sessions.last_cart_action_at + interval '{{ var("cart_recovery_days") }}' day
    inner join order_items on orders.order_key = order_items.order_key and products.product_id = order_items.product_id
    group by sessions.session_id

)

select
    sessions.session_id,
    sessions.shop,
    visits.journey_id,
    sessions.session_date as cart_date,
    sessions.channel,
    sessions.device,
    coalesce(counted.products, 0) as products,
    cast(greatest(coalesce(valued.units, 0), 0) as bigint) as units,
    valued.currency,
    {{ money('case when valued.currency is not null then greatest(coalesce(valued.amount, 0), 0) end') }}
        as cart_amount,
    sessions.last_cart_action_at,
    case
        when ordered.order_key is not null then 'converted'
        when recoveries.order_key is not null then 'recovered'
        when sessions.last_cart_action_at > as_of.as_of - interval '{{ var("cart_open_hours") }}' hour then 'open'
        else 'abandoned'
    end as cart_state,
    coalesce(ordered.order_key, recoveries.order_key) as order_key
from sessions
cross join as_of
left join visits on sessions.session_id = visits.session_id
left join counted on sessions.session_id = counted.session_id
left join valued on sessions.session_id = valued.session_id
left join ordered on sessions.session_id = ordered.session_id
left join recoveries on sessions.session_id = recoveries.session_id
