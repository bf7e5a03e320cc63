{#-
    When each session that this run rebuilds reached each funnel step. Open: at any time. Closed: only after the previous
    step. Many real purchases have no cart event, so the two differ and both are kept.
-#}

with

steps as (

    select
        session_id,
        event_name,
        event_at
    from {{ events_rebuilt_this_run() }}
    where
        session_id is not null
        and event_name in ('product_viewed', 'product_added_to_cart', 'checkout_started', 'checkout_completed')

),

open_funnel as (

    select
        session_id,
        min(event_at) filter (where event_name = 'product_viewed') as viewed_at,
        min(event_at) filter (where event_name = 'product_added_to_cart') as carted_at,
        min(event_at) filter (where event_name = 'checkout_started') as checked_out_at,
        min(event_at) filter (where event_name = 'checkout_completed') as purchased_at
    from steps
    group by session_id

),

closed_carts as (

    select
        steps.session_id,
        min(steps.event_at) as carted_at
    from steps
    inner join open_funnel on steps.session_id = open_funnel.session_id and steps.event_at >= open_funnel.viewed_at
    where steps.event_name = 'product_added_to_cart'
    group by steps.session_id

),

closed_checkouts as (

    select
        steps.session_id,
        min(steps.event_at) as checked_out_at
    from steps
    inner join closed_carts on steps.session_id = closed_carts.session_id and steps.event_at >= closed_carts.carted_at
    where steps.event_name = 'checkout_started'
    group by steps.session_id

),

closed_purchases as (

    select
        steps.session_id,
        min(steps.event_at) as purchased_at
    from steps
    inner join closed_checkouts
        on steps.session_id = closed_checkouts.session_id and steps.event_at >= closed_checkouts.checked_out_at
    where steps.event_name = 'checkout_completed'
    group by steps.session_id

)

select
    open_funnel.session_id,
    open_funnel.viewed_at,
    open_funnel.carted_at as carted_open_at,
    open_funnel.checked_out_at as checked_out_open_at,
    open_funnel.purchased_at as purchased_open_at,
    closed_carts.carted_at as carted_closed_at,
    closed_checkouts.checked_out_at as checked_out_closed_at,
    closed_purchases.purchased_at as purchased_closed_at
from open_funnel
left join closed_carts on open_funnel.session_id = closed_carts.session_id
left join closed_checkouts on open_funnel.session_id = closed_checkouts.session_id
left join closed_purchases on open_funnel.session_id = closed_purchases.session_id
