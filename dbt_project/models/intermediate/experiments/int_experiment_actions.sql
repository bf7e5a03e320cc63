{#-
    What counted units did from 30 days before they entered an experiment until their phase ended, in the journeys of
    their clients: orders, adds to the cart, lists seen, clicks and visits.
-#}

with

exposures as (

    select * from {{ ref('exposures') }}
    where is_counted

),

phases as (

    select
        shop,
        experiment,
        phase,
        is_holdout,
        placements
    from {{ ref('stg_experiments__phases') }}

),

shops as (

    select * from {{ ref('shops') }}

),

-- One row per counted unit and journey of one of its clients.
persons as (

    select distinct
        exposures.shop,
        exposures.experiment,
        exposures.phase,
        exposures.unit,
        exposures.variation,
        exposures.entered_at,
        exposures.first_exposed_at,
        exposures.counted_until,
        phases.is_holdout,
        phases.placements,
        events.journey_id
    from exposures
    inner join phases
        on
            exposures.shop = phases.shop
            and exposures.experiment = phases.experiment
            and exposures.phase = phases.phase
    inner join {{ ref('int_experiment_exposures') }} as events
        on
            exposures.shop = events.shop
            and exposures.experiment = events.experiment
            and exposures.phase = events.phase
            and exposures.unit = events.unit
    where events.reason is null

),

visits as (

    select
        visits.session_id,
        visits.journey_id,
        sessions.started_at
    from {{ ref('int_visits') }} as visits
    inner join {{ ref('int_sessions') }} as sessions on visits.session_id = sessions.session_id
    where not sessions.is_bot

),

-- An order in another currency makes its unit a buyer, but adds no sales.
actions as (

    select
        orders.journey_id,
        'order' as action,
        orders.ordered_at as acted_at,
        orders.local_date,
        null as placement,
        orders.currency = shops.currency as is_in_currency,
        orders.gross_total_amount as sales,
        coalesce(orders.net_total_amount, orders.gross_total_amount) as net_sales,
        coalesce(orders.refunded_amount, 0) as refunds,
        orders.units as units_bought
    from {{ ref('orders') }} as orders
    inner join shops on orders.shop = shops.shop
    where orders.journey_id is not null and not orders.is_test and not orders.is_bot

    union all

    select
        visits.journey_id,
        'add' as action,
        lines.event_at as acted_at,
        lines.local_date,
        null as placement,
        false as is_in_currency,
        null as sales,
        null as net_sales,
        null as refunds,
        null as units_bought
    from {{ ref('int_cart_lines') }} as lines
    inner join visits on lines.session_id = visits.session_id
    where lines.action = 'add'

    union all

    select
        visits.journey_id,
        'visit' as action,
        visits.started_at as acted_at,
        null as local_date,
        null as placement,
        false as is_in_currency,
        null as sales,
        null as net_sales,
        null as refunds,
        null as units_bought
    from visits

    {% for action, relation, column, condition in [
        ('impression', 'impressions', 'viewed_at', 'true'),
        ('click', 'clicks', 'clicked_at', "source = 'pixelnova' and not is_repeated"),
    ] %}
        union all

        select
            journey_id,
            '{{ action }}' as action,
            {{ column }} as acted_at,
            null as local_date,
            placement,
            false as is_in_currency,
            null as sales,
            null as net_sales,
            null as refunds,
            null as units_bought
        from {{ ref(relation) }}
        where journey_id is not null and not is_bot and {{ condition }}
    {% endfor %}

)

select
    persons.shop,
    persons.experiment,
    persons.phase,
    persons.unit,
    persons.variation,
    actions.action,
    actions.acted_at,
    actions.local_date,
    actions.acted_at < persons.entered_at as is_earlier,
    persons.is_holdout,
    cast(
        floor(
            cast({{ elapsed('second', 'persons.first_exposed_at', 'actions.acted_at') }} as double) / 604800
        ) as integer
    ) as week,
    coalesce(actions.is_in_currency, false) as is_in_currency,
    actions.sales,
    actions.net_sales,
    actions.refunds,
    actions.units_bought
from persons
inner join actions on persons.journey_id = actions.journey_id
where
    (
        (
            actions.acted_at >= persons.first_exposed_at
            and (persons.counted_until is null or actions.acted_at < persons.counted_until)
        )
        or (
            actions.acted_at < persons.entered_at
            and actions.acted_at >= persons.entered_at - interval '{{ var("experiment_history_days") }}' day
        )
    )
    -- Lists that the experiment does not change are irrelevant.
    and (
        actions.placement is null
        or persons.placements is null
        or array_contains(persons.placements, actions.placement)
    )
