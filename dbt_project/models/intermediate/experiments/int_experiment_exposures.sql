{#-
    Exposure events, each judged by the definition of its experiment: the assignment is computed again, so that a forged or
    outdated one is seen.
-#}

{% set exposure_fields = {
    'experiment': '$.experiment',
    'phase': '$.phase',
    'variation': '$.variation',
    'unit': '$.unit',
} %}

with

events as (

    select
        event_key,
        shop,
        event_id,
        event_at,
        local_date,
        client_id,
        session_id,
        user_agent,
        is_analytics_allowed,
        {{ json_texts('recommendation_data', exposure_fields.values() | list) }} as texts
    from {{ ref('int_events') }}
    where event_name = 'pixelnova:experiment_exposed'

),

stated as (

    select
        event_key,
        shop,
        event_id,
        event_at,
        local_date,
        client_id,
        session_id,
        user_agent,
        is_analytics_allowed,
        {{ json_columns('texts', exposure_fields) }}
    from events

),

phases as (

    select
        shop,
        experiment,
        phase,
        seed,
        started_at,
        coalesce(
            ended_at, lead(started_at) over (partition by shop, experiment order by started_at)
        ) as ended_at
    from {{ ref('stg_experiments__phases') }}

),

variations as (

    select * from {{ ref('stg_experiments__variations') }}

),

sessions as (

    select
        sessions.session_id,
        sessions.device,
        sessions.channel,
        sessions.landing_path,
        sessions.is_bot,
        visits.journey_id,
        visits.is_new_visitor
    from {{ ref('int_sessions') }} as sessions
    inner join {{ ref('int_visits') }} as visits on sessions.session_id = visits.session_id

),

joined as (

    select
        stated.event_key,
        stated.shop,
        left(coalesce(stated.experiment, ''), 100) as experiment,
        coalesce(try_cast(stated.phase as integer), 0) as phase,
        left(coalesce(stated.unit, ''), 100) as unit,
        left(coalesce(stated.variation, ''), 100) as variation,
        phases.seed,
        phases.started_at,
        phases.ended_at,
        stated.event_id,
        stated.event_at as exposed_at,
        stated.local_date,
        stated.client_id,
        stated.session_id,
        {{ browser('stated.user_agent') }} as browser,
        stated.is_analytics_allowed,
        sessions.journey_id,
        sessions.device,
        sessions.channel,
        sessions.landing_path,
        sessions.is_new_visitor,
        sessions.is_bot
    from stated
    left join phases
        on
            stated.shop = phases.shop
            and stated.experiment = phases.experiment
            and try_cast(stated.phase as integer) = phases.phase
    left join sessions on stated.session_id = sessions.session_id

),

assigned as (

    select
        *,
        case when seed is not null then {{ experiment_bucket('seed', 'unit') }} end as bucket
    from joined

)

select
    assigned.event_key,
    assigned.shop,
    assigned.experiment,
    assigned.phase,
    assigned.unit,
    assigned.variation,
    assigned.bucket,
    assigned.ended_at,
    assigned.event_id,
    assigned.exposed_at,
    assigned.local_date,
    assigned.client_id,
    assigned.session_id,
    assigned.journey_id,
    assigned.browser,
    assigned.device,
    assigned.channel,
    assigned.landing_path,
    assigned.is_new_visitor,
    case
        when assigned.seed is null then 'unknown_experiment'
        when not assigned.is_analytics_allowed then 'no_consent'
        when assigned.unit = '' then 'no_unit'
        when assigned.journey_id is null then 'no_client'
        when assigned.is_bot then 'bot'
        when assigned.exposed_at < assigned.started_at or assigned.exposed_at >= assigned.ended_at then 'outside_phase'
        when variations.variation is null then 'wrong_variation'
    end as reason
from assigned
left join variations
    on
        assigned.shop = variations.shop
        and assigned.experiment = variations.experiment
        and assigned.phase = variations.phase
        and assigned.variation = variations.variation
        and assigned.bucket >= variations.bucket_from
        and assigned.bucket < variations.bucket_to
