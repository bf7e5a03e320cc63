{#-
    Cart adds and order lines, each credited to at most one recommendation: the one that its line property names, or else
    the last click of the same person on the same product, or else (order lines only) the last list in which the person saw
    the product. Bots and test orders are left out.
-#}

{% set columns = [
    'outcome_key', 'shop', 'outcome', 'order_key', 'session_id', 'journey_id', 'client_id', 'happened_at', 'local_date',
    'product_id', 'quantity', 'currency', 'amount', 'net_amount'
] %}
{% set list_columns = ['source', 'placement', 'strategy', 'position', 'list_session_id', 'list_date'] %}

with

orders as (

    select * from {{ ref('orders') }}
    where not is_bot and not is_test

),

lines as (

    select * from {{ ref('int_order_lines') }}
    where product_id is not null

),

cart_adds as (

    select * from {{ ref('cart_actions') }}
    where action = 'add' and product_id is not null and not is_bot and not is_test

),

visits as (

    select * from {{ ref('int_visits') }}

),

clicks as (

    select * from {{ ref('clicks') }}
    where product_id is not null and not is_bot and not is_test

),

impressions as (

    select * from {{ ref('impressions') }}
    where not is_bot and not is_test

),

items as (

    select * from {{ ref('impression_items') }}

),

-- Refunds are known per order: each line gets its share. Orders unknown to the Admin API count in full.
outcomes as (

    select
        {{ surrogate_key(['lines.shop', 'lines.event_key', 'lines.line_number']) }} as outcome_key,
        orders.shop,
        'order' as outcome,
        orders.order_key,
        orders.session_id,
        orders.journey_id,
        orders.client_id,
        orders.ordered_at as happened_at,
        orders.local_date,
        lines.product_id,
        lines.quantity,
        coalesce(orders.currency, 'unknown') as currency,
        coalesce(lines.amount, 0) as amount,
        case
            when orders.net_total_amount is null or coalesce(orders.gross_total_amount, 0) = 0
                then coalesce(lines.amount, 0)
            else {{ money("""
                coalesce(lines.amount, 0) * least(greatest(orders.net_total_amount / orders.gross_total_amount, 0), 1)
            """) }}
        end as net_amount,
        lines.recommendation
    from orders
    inner join lines on orders.event_key = lines.event_key

    union all

    select
        cart_adds.cart_action_id as outcome_key,
        cart_adds.shop,
        'cart_add' as outcome,
        null as order_key,
        cart_adds.session_id,
        visits.journey_id,
        cart_adds.client_id,
        cart_adds.acted_at as happened_at,
        cart_adds.local_date,
        cart_adds.product_id,
        cart_adds.quantity,
        null as currency,
        null as amount,
        null as net_amount,
        null as recommendation
    from cart_adds
    left join visits on cart_adds.session_id = visits.session_id

),

-- A line property implies a click: its session and date are unknown only if the click event never arrived.
properties as (

    select
        outcome_key,
        shop,
        regexp_extract(recommendation, {{ recommendation_pattern() }}, 1) as request_id,
        regexp_extract(recommendation, {{ recommendation_pattern() }}, 2) as placement,
        regexp_extract(recommendation, {{ recommendation_pattern() }}, 3) as strategy,
        {{ position_in_list("regexp_extract(recommendation, " ~ recommendation_pattern() ~ ", 4)") }} as position,
        product_id
    from outcomes
    where {{ matches('recommendation', recommendation_pattern()) }}

),

-- A browser may have several persons, and a person several browsers: it is enough if either is the same.
{% for name in ['outcomes', 'clicks', 'impressions'] %}
    {{ name }}_by_person as (

        select
            *,
            concat_ws('', 'journey:', journey_id) as person
        from {{ name }}
        where journey_id is not null

        union all

        select
            *,
            concat_ws('', 'client:', client_id) as person
        from {{ name }}
        where client_id is not null

    ),
{% endfor %}

credited as (

    select
        properties.outcome_key,
        1 as preference,
        clicks.clicked_at as seen_at,
        clicks.click_key as list_key,
        'pixelnova' as source,
        properties.placement,
        properties.strategy,
        properties.position,
        clicks.session_id as list_session_id,
        clicks.local_date as list_date
    from properties
    left join clicks
        on
            properties.shop = clicks.shop
            and properties.request_id = clicks.request_id
            and properties.product_id = clicks.product_id
            and clicks.source = 'pixelnova'
            and not clicks.is_repeated

    union all

    select
        outcomes.outcome_key,
        2 as preference,
        clicks.clicked_at as seen_at,
        clicks.click_key as list_key,
        clicks.source,
        clicks.placement,
        clicks.strategy,
        clicks.position,
        clicks.session_id as list_session_id,
        clicks.local_date as list_date
    from outcomes_by_person as outcomes
    inner join clicks_by_person as clicks
        on
            outcomes.shop = clicks.shop
            and outcomes.person = clicks.person
            and outcomes.product_id = clicks.product_id
            and outcomes.happened_at >= clicks.clicked_at
            and outcomes.happened_at <= clicks.clicked_at + interval '{{ var("attribution_click_days") }}' day

    union all

    select
        outcomes.outcome_key,
        3 as preference,
        impressions.viewed_at as seen_at,
        impressions.impression_key as list_key,
        'pixelnova' as source,
        impressions.placement,
        items.strategy,
        items.position,
        impressions.session_id as list_session_id,
        impressions.local_date as list_date
    from outcomes_by_person as outcomes
    inner join impressions_by_person as impressions
        on
            outcomes.shop = impressions.shop
            and outcomes.person = impressions.person
            and outcomes.happened_at >= impressions.viewed_at
            and outcomes.happened_at <= impressions.viewed_at + interval '{{ var("attribution_view_days") }}' day
    inner join items
        on impressions.impression_key = items.impression_key and outcomes.product_id = items.product_id
    where outcomes.outcome = 'order'

),

ranked as (

    select
        *,
        row_number() over (
            partition by outcome_key order by preference, seen_at desc, list_key desc
        ) as credit_rank
    from credited

)

select
    {% for column in columns %}
        outcomes.{{ column }},
    {% endfor %}
    {% for column in list_columns %}
        ranked.{{ column }},
    {% endfor %}
    case when ranked.preference = 3 then 'view_through' else 'direct' end as attribution,
    ranked.preference = 1 as is_by_property
from ranked
inner join outcomes on ranked.outcome_key = outcomes.outcome_key
where ranked.credit_rank = 1
