{#-
    What each session was worth: its own orders, what its person spent later, and its share of orders by five attribution
    models. A touch of an order is an earlier session of the order's person, within the lookback, or the session of the
    order itself. Each model gives a cumulative share after each touch, which is 1 after the last; a touch is credited
    with the increase. So the credits of an order sum to the order, regardless of rounding.
-#}

{% set models = attribution_models() %}
{% set days = var('value_days') %}
{% set lookback_days = days | max %}

with

shops as (

    select
        shop,
        coalesce(currency, 'unknown') as currency
    from {{ ref('shops') }}

),

sessions as (

    select
        sessions.session_id,
        sessions.shop,
        visits.journey_id,
        sessions.started_at,
        sessions.local_date,
        sessions.channel,
        sessions.utm_source,
        sessions.utm_medium,
        sessions.utm_campaign,
        sessions.landing_path,
        sessions.page_views <= 1 and sessions.cart_adds = 0 and sessions.checkouts_started = 0
        and sessions.checkouts_completed = 0 as is_bounce,
        sessions.viewed_at is not null as reached_product
    from {{ ref('int_sessions') }} as sessions
    inner join {{ ref('int_visits') }} as visits on sessions.session_id = visits.session_id
    where not sessions.is_bot

),

orders as (

    select
        order_key,
        shop,
        session_id,
        journey_id,
        ordered_at,
        local_date,
        coalesce(currency, 'unknown') as currency,
        -- An order with an unknown total adds nothing to sales.
        coalesce(gross_total_amount, 0) as amount
    from {{ ref('orders') }}
    where not is_test and not is_bot

),

pairs as (

    select
        orders.order_key,
        sessions.session_id
    from orders
    inner join sessions
        on
            orders.journey_id = sessions.journey_id
            and orders.ordered_at >= sessions.started_at
            and orders.local_date <= {{ dbt.dateadd('day', lookback_days, 'sessions.local_date') }}

    union

    -- A shared browser: the order belongs to one customer, its session to another.
    select
        orders.order_key,
        sessions.session_id
    from orders
    inner join sessions on orders.session_id = sessions.session_id

),

numbered as (

    select
        orders.*,
        sessions.session_id as touch_session_id,
        sessions.local_date as touch_date,
        sessions.channel,
        row_number() over (
            partition by pairs.order_key order by sessions.started_at, sessions.session_id
        ) as touch_number,
        count(*) over (partition by pairs.order_key) as touches
    from pairs
    inner join orders on pairs.order_key = orders.order_key
    inner join sessions on pairs.session_id = sessions.session_id

),

with_last_non_direct as (

    select
        *,
        coalesce(
            max(case when channel <> 'direct' then touch_number end) over (partition by order_key), touches
        ) as last_non_direct_number
    from numbered

),

reached as (

    select
        {% for model, share in models.items() %}
            cast({{ share }} as double) as {{ model }},
        {% endfor %}
        *
    from with_last_non_direct

),

amounts_reached as (

    select
        {% for model in models %}
            {{ exact(model, 18, 6) }} as {{ model }}_orders_reached,
            case
                when {{ model }} = 1 then cast(amount as decimal(38, 4))
                else cast(cast(amount as double) * {{ model }} as decimal(38, 4))
            end as {{ model }}_sales_reached,
        {% endfor %}
        *
    from reached

),

credited as (

    select
        {% for model in models %}
            {% for measure in ['orders', 'sales'] %}
                {{ model }}_{{ measure }}_reached - lag({{ model }}_{{ measure }}_reached, 1, 0) over (
                    partition by order_key order by touch_number
                ) as {{ model }}_{{ measure }},
            {% endfor %}
        {% endfor %}
        session_id = touch_session_id as is_own,
        *
    from amounts_reached

),

touched as (

    select
        touch_session_id as session_id,
        currency,
        {% for number in days %}
            sum(case when local_date <= {{ dbt.dateadd('day', number, 'touch_date') }} then amount else 0 end)
                as sales_{{ number }}_days,
        {% endfor %}
        {% for model in models %}
            sum({{ model }}_orders) as {{ model }}_orders,
            sum({{ model }}_sales) as {{ model }}_sales,
        {% endfor %}
        count(*) filter (where is_own) as orders,
        sum(amount) filter (where is_own) as sales
    from credited
    group by touch_session_id, currency

),

currencies as (

    select
        sessions.session_id,
        shops.currency
    from sessions
    inner join shops on sessions.shop = shops.shop

    union

    select
        session_id,
        currency
    from touched

),

-- Orders without a touch, such as those of a client whose other events were never received.
untouched as (

    select orders.*
    from orders
    left join pairs on orders.order_key = pairs.order_key
    where pairs.order_key is null

)

select
    sessions.session_id,
    sessions.shop,
    sessions.journey_id,
    sessions.started_at,
    sessions.local_date,
    sessions.channel,
    sessions.utm_source,
    sessions.utm_medium,
    sessions.utm_campaign,
    sessions.landing_path,
    currencies.currency,
    -- The row in the shop's currency represents the session.
    currencies.currency = shops.currency as is_session,
    sessions.is_bounce,
    sessions.reached_product,
    {% for number in days %}
        coalesce(touched.sales_{{ number }}_days, 0) as sales_{{ number }}_days,
    {% endfor %}
    {% for model in models %}
        coalesce(touched.{{ model }}_orders, 0) as {{ model }}_orders,
        coalesce(touched.{{ model }}_sales, 0) as {{ model }}_sales,
    {% endfor %}
    coalesce(touched.orders, 0) as orders,
    coalesce(touched.sales, 0) as sales
from sessions
inner join currencies on sessions.session_id = currencies.session_id
left join shops on sessions.shop = shops.shop
left join touched on currencies.session_id = touched.session_id and currencies.currency = touched.currency

union all

select
    null as session_id,
    shop,
    journey_id,
    ordered_at as started_at,
    local_date,
    'unknown' as channel,
    null as utm_source,
    null as utm_medium,
    null as utm_campaign,
    null as landing_path,
    currency,
    false as is_session,
    null as is_bounce,
    null as reached_product,
    {% for number in days %}
        0 as sales_{{ number }}_days,
    {% endfor %}
    {% for model in models %}
        1 as {{ model }}_orders,
        amount as {{ model }}_sales,
    {% endfor %}
    0 as orders,
    0 as sales
from untouched
