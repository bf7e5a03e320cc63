{#-
    What each journey's person permits. The latest statement of each of its browsers counts, and one refusal is enough:
    a missing opt-out signal in another browser is not consent (CCPA regulations, section 7025).
-#}

{% set choices = ['is_marketing_allowed', 'is_preferences_allowed', 'is_sale_of_data_allowed'] %}

with

statements as (

    select
        shop,
        client_id,
        case
            when client_id is not null then 'client'
            when checkout_token is not null then 'token'
            else 'customer'
        end as identifier_kind,
        coalesce(client_id, checkout_token, customer_id) as identifier,
        event_at,
        event_sequence,
        event_id,
        is_marketing_allowed,
        is_preferences_allowed,
        -- Global Privacy Control opts out of sale. Its absence means nothing.
        case when has_global_privacy_control then false else is_sale_of_data_allowed end as is_sale_of_data_allowed
    from {{ ref('int_events') }}

),

identity_map as (

    select * from {{ ref('identity_map') }}

),

latest_of_browsers as (

    select
        {% for choice in choices %}
            {{ latest('statements.' ~ choice, event_order('statements')) }}
            filter (where statements.{{ choice }} is not null) as {{ choice }},
        {% endfor %}
        identity_map.journey_id,
        statements.client_id
    from statements
    inner join identity_map
        on
            statements.shop = identity_map.shop
            and statements.identifier_kind = identity_map.identifier_kind
            and statements.identifier = identity_map.identifier
    where
        statements.is_marketing_allowed is not null
        or statements.is_preferences_allowed is not null
        or statements.is_sale_of_data_allowed is not null
    group by identity_map.journey_id, statements.client_id

),

latest as (

    select
        {% for choice in choices %}
            min(case when {{ choice }} then 1 when not {{ choice }} then 0 end) = 1 as {{ choice }},
        {% endfor %}
        journey_id
    from latest_of_browsers
    group by journey_id

)

select
    journeys.shop,
    journeys.journey_id,
    {{ permits('profile', 'latest') }} as may_be_profiled,
    {{ permits('personal_lists', 'latest') }} as may_have_personal_lists,
    {{ permits('contact', 'latest') }} as may_be_contacted
from {{ ref('user_journeys') }} as journeys
left join latest on journeys.journey_id = latest.journey_id
