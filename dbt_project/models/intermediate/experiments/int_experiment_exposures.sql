{#-
    Exposure events, each checked against the definition of its experiment. The assignment is computed again to detect
    forged and outdated ones.
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
        is_preferences_allowed,
        {{ json_texts('recommendation_data', exposure_fields.values() | list) }} as texts
    from {{ ref('int_events') }}
    where event_name = 'pixelnova:experiment_exposed'

),

stated as (

    select
        *,
        {{ json_columns('texts', exposure_fields) }}
    from events

),

phases as (

    select * from {{ ref('stg_experiments__phases') }}

),

exposures as (

    select
        stated.*,
        phases.phase as declared_phase,
        phases.started_at,
        phases.ended_at,
        coalesce(stated.event_at >= phases.holdout_started_at, false) as has_holdout
    from stated
    left join phases
        on
            stated.shop = phases.shop
            and stated.experiment = phases.experiment
            and try_cast(stated.phase as integer) = phases.phase

),

-- Hashing is slow, and units are exposed often: each is hashed once.
units as (

    select distinct
        shop,
        experiment,
        declared_phase,
        unit,
        has_holdout
    from exposures
    where declared_phase is not null and unit is not null

),

assigned as (

    select
        units.*,
        {{ assigned_bucket('phases.seed', 'units.unit') }} as bucket,
        {{ takes_part('phases', 'units.unit', 'units.has_holdout') }} as takes_part
    from units
    inner join phases
        on
            units.shop = phases.shop
            and units.experiment = phases.experiment
            and units.declared_phase = phases.phase

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
        exposures.event_key,
        exposures.shop,
        left(coalesce(exposures.experiment, ''), 100) as experiment,
        coalesce(try_cast(exposures.phase as integer), 0) as phase,
        left(coalesce(exposures.unit, ''), 100) as unit,
        left(coalesce(exposures.variation, ''), 100) as variation,
        exposures.started_at,
        exposures.ended_at,
        assigned.bucket,
        coalesce(assigned.takes_part, false) as takes_part,
        exposures.event_id,
        exposures.event_at as exposed_at,
        exposures.local_date,
        exposures.client_id,
        exposures.session_id,
        {{ browser('exposures.user_agent') }} as browser,
        {{ permits('experiment', 'exposures') }} as is_permitted,
        sessions.journey_id,
        sessions.device,
        sessions.channel,
        sessions.landing_path,
        sessions.is_new_visitor,
        sessions.is_bot
    from exposures
    left join assigned
        on
            exposures.shop = assigned.shop
            and exposures.experiment = assigned.experiment
            and exposures.declared_phase = assigned.declared_phase
            and exposures.unit = assigned.unit
            and exposures.has_holdout = assigned.has_holdout
    left join sessions on exposures.session_id = sessions.session_id

)

select
    joined.event_key,
    joined.shop,
    joined.experiment,
    joined.phase,
    joined.unit,
    joined.variation,
    joined.bucket,
    joined.ended_at,
    joined.event_id,
    joined.exposed_at,
    joined.local_date,
    joined.client_id,
    joined.session_id,
    joined.journey_id,
    joined.browser,
    joined.device,
    joined.channel,
    joined.landing_path,
    joined.is_new_visitor,
    case
        when joined.started_at is null then 'unknown_experiment'
        when not joined.is_permitted then 'no_consent'
        when joined.unit = '' then 'no_unit'
        when joined.journey_id is null then 'no_client'
        when joined.is_bot then 'bot'
        when joined.exposed_at < joined.started_at or joined.exposed_at >= joined.ended_at then 'outside_phase'
        when variations.variation is null or not joined.takes_part then 'wrong_variation'
    end as reason
from joined
left join variations
    on
        joined.shop = variations.shop
        and joined.experiment = variations.experiment
        and joined.phase = variations.phase
        and joined.variation = variations.variation
        and joined.bucket >= variations.bucket_from
        and joined.bucket < variations.bucket_to
