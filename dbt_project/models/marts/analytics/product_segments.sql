{#- Only the longest window of the rankings, because customers have their segments of today. -#}

{% set window_days = var('window_days') | max %}
{% set kinds = {'rfm': 'segment', 'channel': 'channel'} %}

with

windows as (

    select * from {{ ref('int_windows') }}
    where window_days = {{ window_days }}

),

shops as (

    select
        shop,
        coalesce(currency, 'unknown') as currency
    from {{ ref('shops') }}

),

sessions as (

    select
        visits.session_id,
        visits.journey_id,
        sessions.channel,
        case when permissions.may_be_profiled then coalesce(customers.segment, 'visitor') else 'not profiled' end
            as segment
    from {{ ref('int_sessions') }} as sessions
    inner join {{ ref('int_visits') }} as visits on sessions.session_id = visits.session_id
    inner join {{ ref('int_permissions') }} as permissions on visits.journey_id = permissions.journey_id
    left join {{ ref('int_customer_segments') }} as customers on visits.journey_id = customers.journey_id
    where not sessions.is_bot

),

events as (

    select
        events.shop,
        events.product_id,
        events.event_name,
        sessions.journey_id,
        sessions.channel,
        sessions.segment
    from {{ ref('int_events') }} as events
    inner join windows
        on events.shop = windows.shop and events.local_date between windows.first_date and windows.last_date
    inner join sessions on events.session_id = sessions.session_id
    where events.event_name in ('product_viewed', 'product_added_to_cart') and events.product_id is not null

),

-- An order without a session may have a known customer, but has no channel.
items as (

    select
        orders.shop,
        lines.product_id,
        orders.order_key,
        lines.quantity,
        lines.amount,
        coalesce(orders.currency, 'unknown') as currency,
        coalesce(sessions.channel, 'unknown') as channel,
        case
            when coalesce(permissions.may_be_profiled, true)
                then coalesce(customers.segment, sessions.segment, 'visitor')
            else 'not profiled'
        end as segment
    from {{ ref('orders') }} as orders
    inner join {{ ref('int_order_lines') }} as lines on orders.event_key = lines.event_key
    inner join windows
        on orders.shop = windows.shop and orders.local_date between windows.first_date and windows.last_date
    left join sessions on orders.session_id = sessions.session_id
    left join {{ ref('int_customer_segments') }} as customers on orders.journey_id = customers.journey_id
    left join {{ ref('int_permissions') }} as permissions on orders.journey_id = permissions.journey_id
    where not orders.is_test and not orders.is_bot and lines.product_id is not null

),

measured as (

    {% for kind, column in kinds.items() %}
        select
            events.shop,
            events.product_id,
            '{{ kind }}' as segment_kind,
            events.{{ column }} as segment,  -- noqa: AL09
            shops.currency,
            count(*) filter (where events.event_name = 'product_viewed') as product_views,
            count(distinct case when events.event_name = 'product_viewed' then events.journey_id end) as viewers,
            count(*) filter (where events.event_name = 'product_added_to_cart') as cart_adds,
            null as orders,
            null as units,
            null as sales_amount
        from events
        inner join shops on events.shop = shops.shop
        group by events.shop, events.product_id, events.{{ column }}, shops.currency

        union all

        select
            shop,
            product_id,
            '{{ kind }}' as segment_kind,
            {{ column }} as segment,
            currency,
            null as product_views,
            null as viewers,
            null as cart_adds,
            count(distinct order_key) as orders,
            sum(quantity) as units,
            sum(amount) as sales_amount
        from items
        group by shop, product_id, {{ column }}, currency
        {{ "union all" if not loop.last }}
    {% endfor %}

),

summed as (

    select
        shop,
        product_id,
        segment_kind,
        segment,
        currency,
        cast(coalesce(sum(product_views), 0) as bigint) as product_views,
        cast(coalesce(sum(viewers), 0) as bigint) as viewers,
        cast(coalesce(sum(cart_adds), 0) as bigint) as cart_adds,
        cast(coalesce(sum(orders), 0) as bigint) as orders,
        cast(coalesce(sum(units), 0) as bigint) as units,
        {{ total('coalesce(sum(sales_amount), 0)') }} as sales_amount
    from measured
    group by shop, product_id, segment_kind, segment, currency

)

select
    shop,
    product_id,
    segment_kind,
    segment,
    currency,
    product_views,
    viewers,
    cart_adds,
    orders,
    units,
    sales_amount,
    cast(cart_adds as double) / nullif(product_views, 0) as add_to_cart_rate,
    cast(orders as double) / nullif(product_views, 0) as purchase_rate,
    cast({{ window_days }} as bigint) as window_days
from summed
