{#-
    The products that each session added to its cart, and the quantity left at the time of the order, or else a week
    after the session's last cart event: the cart belongs to the browser, and a later visit may empty it.
-#}

with

sessions as (

    select
        session_id,
        shop,
        client_id,
        started_at,
        last_cart_action_at
    from {{ ref('int_sessions') }}
    where cart_adds > 0

),

orders as (

    select * from {{ ref('int_cart_orders') }}

),

lines as (

    select * from {{ ref('int_cart_lines') }}

),

-- A cart view lists the whole cart, even if empty, unless it had too many lines to send.
events as (

    select
        event_key,
        shop,
        client_id,
        session_id,
        event_at,
        event_name = 'cart_viewed'
        and lines is not null
        and coalesce(lines_complete, true)
        and (cast(lines as {{ dbt.type_string() }}) <> '[]' or coalesce(quantity, 0) = 0) as is_whole_cart,
        row_number() over (
            partition by shop, client_id
            order by {{ event_order() | join(', ') }}
        ) as event_rank
    from {{ ref('int_events') }}
    where
        event_name in ('product_added_to_cart', 'product_removed_from_cart', 'cart_viewed')
        and session_id is not null

),

watched as (

    select
        sessions.session_id,
        sessions.shop,
        events.event_key,
        events.event_at,
        events.event_rank,
        events.is_whole_cart,
        events.session_id = sessions.session_id as is_own,
        events.event_at <= coalesce(
            orders.ordered_at, sessions.last_cart_action_at + interval '{{ var("cart_recovery_days") }}' day
        ) as is_in_time
    from sessions
    left join orders on sessions.session_id = orders.session_id
    inner join events
        on
            sessions.shop = events.shop
            and sessions.client_id = events.client_id
            and events.event_at >= sessions.started_at
            and events.event_at <= sessions.last_cart_action_at + interval '{{ var("cart_recovery_days") }}' day

),

last_views as (

    select
        session_id,
        max(event_rank) as event_rank
    from watched
    where is_whole_cart and is_in_time
    group by session_id

),

-- Start from the last cart view and apply the adds and removes after it.
changes as (

    select
        watched.session_id,
        watched.shop,
        watched.event_at,
        watched.event_rank,
        lines.line_number,
        watched.is_own and lines.action = 'add' as is_own_add,
        coalesce(
            lines.product_id,
            case
                when lines.variant_id is not null
                    then min(lines.product_id) over (partition by watched.session_id, lines.variant_id)
            end
        ) as product_id,
        cast(coalesce(lines.quantity, 1) as bigint) as quantity,
        lines.amount,
        lines.currency,
        case
            when not watched.is_in_time or watched.event_rank < coalesce(last_views.event_rank, 0) then 0
            when lines.action = 'view' and watched.event_rank > coalesce(last_views.event_rank, 0) then 0
            when lines.action = 'remove' then -1
            else 1
        end as direction
    from watched
    inner join lines on watched.event_key = lines.event_key
    left join last_views on watched.session_id = last_views.session_id

),

-- A cart has the currency of the first product added, and its value is in that currency.
currencies as (

    select
        session_id,
        {{ earliest('currency', ['event_rank', 'line_number']) }} as currency
    from changes
    where is_own_add and currency is not null
    group by session_id

),

valued as (

    select
        changes.*,
        currencies.currency as cart_currency,
        changes.direction * changes.quantity as units,
        case
            when changes.currency = currencies.currency
                then changes.direction * cast(changes.amount as decimal(28, 4))
        end as value
    from changes
    left join currencies on changes.session_id = currencies.session_id

),

running as (

    select
        *,
        sum(units) over (
            partition by session_id, product_id order by event_rank, line_number
            rows between unbounded preceding and current row
        ) as units_so_far,
        sum(value) over (
            partition by session_id, product_id order by event_rank, line_number
            rows between unbounded preceding and current row
        ) as value_so_far
    from valued

),

-- A removal before any add means units left from an earlier visit: start the running count at its lowest point.
left_over as (

    select
        session_id,
        shop,
        product_id,
        min(cart_currency) as currency,
        min(event_at) filter (where is_own_add) as first_added_at,
        sum(quantity) filter (where is_own_add) as quantity,
        sum(units) - least(min(units_so_far), 0) as quantity_left,
        sum(value) - least(min(value_so_far), 0) as amount_left
    from running
    group by session_id, shop, product_id

)

select
    session_id,
    shop,
    product_id,
    first_added_at,
    cast(quantity as bigint) as quantity,
    cast(quantity_left as bigint) as quantity_left,
    currency,
    case when quantity_left > 0 then {{ total('amount_left') }} else 0 end as amount_left
from left_over
where first_added_at is not null
