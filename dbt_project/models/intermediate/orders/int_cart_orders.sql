{#-
    The order to which each session with an add to cart led: an order in the same session, or else an order of one of
    the products by the same person within a week.
-#}

with

sessions as (

    select
        session_id,
        carted_open_at as first_added_at,
        last_cart_action_at
    from {{ ref('int_sessions') }}
    where cart_adds > 0

),

visits as (

    select * from {{ ref('int_visits') }}

),

added as (

    select distinct
        session_id,
        product_id
    from {{ ref('int_cart_lines') }}
    where action = 'add' and session_id is not null and product_id is not null

),

orders as (

    select * from {{ ref('orders') }}
    where not is_test

),

order_items as (

    select * from {{ ref('order_items') }}

),

-- An order before the first add belongs to another purchase.
own as (

    select
        sessions.session_id,
        {{ earliest('orders.order_key', ['orders.ordered_at', 'orders.order_key']) }} as order_key
    from sessions
    inner join orders
        on sessions.session_id = orders.session_id and orders.ordered_at >= sessions.first_added_at
    group by sessions.session_id

),

recoveries as (

    select
        sessions.session_id,
        {{ earliest('orders.order_key', ['orders.ordered_at', 'orders.order_key']) }} as order_key
    from sessions
    inner join visits on sessions.session_id = visits.session_id
    inner join added on sessions.session_id = added.session_id
    inner join orders
        on
            visits.journey_id = orders.journey_id
            and orders.ordered_at >= sessions.last_cart_action_at
            and orders.ordered_at <= sessions.last_cart_action_at + interval '{{ var("cart_recovery_days") }}' day
    inner join order_items on orders.order_key = order_items.order_key and added.product_id = order_items.product_id
    group by sessions.session_id

),

chosen as (

    select
        sessions.session_id,
        own.order_key is not null as is_own,
        coalesce(own.order_key, recoveries.order_key) as order_key
    from sessions
    left join own on sessions.session_id = own.session_id
    left join recoveries on sessions.session_id = recoveries.session_id

)

select
    chosen.session_id,
    chosen.order_key,
    chosen.is_own,
    orders.ordered_at
from chosen
inner join orders on chosen.order_key = orders.order_key
