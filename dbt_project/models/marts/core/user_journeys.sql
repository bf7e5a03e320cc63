{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    incremental_predicates=[rows_of_this_run('journey_id', 'int_identifiers_this_run', 'identifier_key')],
) }}

with

rebuilt as (

    select distinct identifier_key
    from {{ ref('int_identifiers_this_run') }}

),

identity_map as (

    select identity_map.*
    from {{ ref('identity_map') }} as identity_map
    {% if not first_build() %}
        inner join rebuilt on identity_map.journey_id = rebuilt.identifier_key
    {% endif %}

),

sessions as (

    select
        visits.journey_id,
        visits.last_non_direct_channel,
        sessions.*
    from {{ ref('int_visits') }} as visits
    {% if not first_build() %}
        inner join rebuilt on visits.journey_id = rebuilt.identifier_key
    {% endif %}
    inner join {{ ref('int_sessions') }} as sessions on visits.session_id = sessions.session_id

),

identified as (

    select
        journey_id,
        min(shop) as shop,
        count(*) as identifiers,
        count(*) filter (where identifier_kind = 'client') as clients,
        count(*) filter (where identifier_kind = 'token') as checkout_tokens,
        max(case when identifier_kind = 'customer' then identifier end) as customer_id,
        max(case when is_stitched then 1 else 0 end) = 1 as is_stitched,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at
    from identity_map
    group by journey_id

),

visited as (

    select
        journey_id,
        count(*) as sessions,
        count(distinct device) as devices,
        {{ earliest('session_id', ['is_bot', 'started_at', 'session_id']) }} as first_session_id,
        {{ latest('last_non_direct_channel', ['started_at', 'session_id']) }} as last_non_direct_channel,
        min(case when is_bot then 1 else 0 end) = 1 as is_bot
    from sessions
    group by journey_id

)

select
    identified.journey_id,
    identified.shop,
    identified.customer_id,
    identified.identifiers,
    identified.clients,
    identified.checkout_tokens,
    identified.is_stitched,
    identified.first_seen_at,
    identified.last_seen_at,
    coalesce(visited.sessions, 0) as sessions,
    coalesce(visited.devices, 0) as devices,
    first_sessions.channel as first_touch_channel,
    first_sessions.landing_path as first_landing_path,
    first_sessions.device as first_device,
    visited.last_non_direct_channel,
    coalesce(visited.is_bot, false) as is_bot
from identified
left join visited on identified.journey_id = visited.journey_id
left join sessions as first_sessions on visited.first_session_id = first_sessions.session_id
