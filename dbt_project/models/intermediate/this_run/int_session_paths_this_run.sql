{#-
    The path of each session that this run rebuilds: its first ten steps in order, with consecutive repetitions
    collapsed.
-#}

with

named as (

    select
        session_id,
        event_at,
        event_sequence,
        event_id,
        case
            when event_name = 'product_viewed' then 'product'
            when event_name = 'collection_viewed' then 'collection'
            when event_name = 'search_submitted' then 'search'
            when event_name = 'product_added_to_cart' then 'add to cart'
            when event_name = 'product_removed_from_cart' then 'remove from cart'
            when event_name = 'cart_viewed' then 'cart'
            when event_name = 'checkout_started' then 'checkout'
            when event_name = 'checkout_completed' then 'purchase'
            when event_name = 'page_viewed' and {{ is_home_page('page_path') }} then 'home'
        end as step
    from {{ events_rebuilt_this_run() }}
    where session_id is not null

),

with_previous as (

    select
        *,
        lag(step) over (partition by session_id order by {{ event_order() | join(', ') }}) as previous_step
    from named
    where step is not null

),

numbered as (

    select
        session_id,
        step,
        row_number() over (partition by session_id order by {{ event_order() | join(', ') }}) as step_number
    from with_previous
    where previous_step is null or step <> previous_step

)

select
    session_id,
    {{ joined_texts('step', ' > ', ['step_number']) }} as path,
    count(*) as steps
from numbered
where step_number <= {{ var('path_steps') }}
group by session_id
