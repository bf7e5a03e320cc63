{#- The order of each checkout_completed event, and whether the order is taken from that event. -#}

with

completed as (

    select
        *,
        {{ shopify_id('order_gid') }} as own_order_id
    from {{ ref('int_checkout_events') }}
    where event_name = 'checkout_completed'

),

-- One checkout is one order, but one event may identify it by number and another by name.
numbered as (

    select
        *,
        case when {{ matches('own_order_id', "'^[0-9]+$'") }} then own_order_id end as order_number
    from completed

),

-- An event without the number takes it from another event of its checkout. Otherwise the id is the order's name, then
-- the checkout token; without either, the event is its own order.
identified as (

    select
        *,
        coalesce(
            order_number,
            case
                when checkout_token is not null then min(order_number) over (partition by shop, checkout_token)
            end,
            own_order_id,
            case
                when checkout_token is not null then min(own_order_id) over (partition by shop, checkout_token)
            end,
            'checkout:' || checkout_token,
            'event:' || event_id
        ) as order_id
    from numbered

),

-- A reloaded thank-you page must not create a second order: the oldest event wins.
ranked as (

    select
        *,
        row_number() over (partition by shop, order_id order by {{ event_order() | join(', ') }}) as order_event_rank
    from identified

)

select
    event_key,
    {{ surrogate_key(['shop', 'order_id']) }} as order_key,
    order_id,
    order_event_rank,
    order_event_rank = 1 as is_order_event
from ranked
