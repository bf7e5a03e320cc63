{#- The checkouts that this run rebuilds because their events or session changed, with the furthest step of each. -#}

{% set steps = checkout_steps() %}

with

changed as (

    select
        shop,
        checkout_token
    from {{ ref('int_events_changed_this_run') }}

    union

    select
        shop,
        checkout_token
    from {{ ref('int_events_rebuilt_this_run') }}

),

steps as (

    select
        shop,
        checkout_token,
        event_key,
        event_id,
        event_at,
        event_sequence,
        local_date,
        session_id,
        currency,
        total_amount,
        case event_name
            {% for step in steps %}
                when '{{ step }}' then {{ loop.index }}
            {% endfor %}
        end as step
    from {{ ref('int_checkout_events') }}
    where
        checkout_token is not null
        and {{ is_of_this_run('shop, checkout_token', 'shop, checkout_token', 'changed') }}

),

checkouts as (

    select
        shop,
        checkout_token,
        min(event_at) as started_at,
        max(event_at) as last_step_at,
        {{ earliest('event_key', event_order()) }} as first_event_key,
        max(step) as furthest_step,
        {{ latest('event_key', event_order()) }} filter (where total_amount is not null)
            as priced_event_key
    from steps
    where step is not null
    group by shop, checkout_token

)

select
    {{ surrogate_key(['checkouts.shop', 'checkouts.checkout_token']) }} as checkout_key,
    checkouts.shop,
    checkouts.checkout_token,
    checkouts.started_at,
    first_events.local_date,
    first_events.session_id,
    checkouts.last_step_at,
    checkouts.furthest_step,
    checkouts.furthest_step = {{ steps | length }} as is_completed,
    priced_events.currency,
    priced_events.total_amount
from checkouts
inner join steps as first_events on checkouts.first_event_key = first_events.event_key
left join steps as priced_events on checkouts.priced_event_key = priced_events.event_key
