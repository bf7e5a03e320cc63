{#- Which order each checkout_completed event is about, and whether the order is taken from it. -#}

with

completed as (

    select
        *,
        {{ shopify_id('order_gid') }} as own_order_id
    from {{ ref('int_checkout_events') }}
    where event_name = 'checkout_completed'

),

-- One checkout makes one order, which may be named by its number in one event and by its name in another.
numbered as (

    select
        *,
        case when {{ matches('own_order_id', "'^[0-9]+$'") }} then own_order_id end as order_number
    from completed

),

-- An event without the number takes it from another event of its checkout. Where none has it, the name is the order's
-- id, then the checkout token; with none of them, the event is an order of its own.
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

-- A thank-you page that is loaded again does not make a second order: the oldest event wins.
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
