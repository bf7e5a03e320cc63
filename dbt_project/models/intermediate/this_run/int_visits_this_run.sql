{#- The sessions of the journeys that this run rebuilds, in the order of each journey. -#}

with

sessions as (

    select * from {{ ref('int_sessions') }}

),

identity_map as (

    select * from {{ ref('identity_map') }}
    where identifier_kind = 'client'

),

rebuilt as (

    select distinct identifier_key
    from {{ ref('int_identifiers_this_run') }}

),

visits as (

    select
        sessions.session_id,
        sessions.shop,
        sessions.client_id,
        sessions.started_at,
        sessions.local_date,
        sessions.channel,
        sessions.is_bot,
        identity_map.journey_id,
        identity_map.identifier_key
    from identity_map
    {% if not first_build() %}
        inner join rebuilt on identity_map.identifier_key = rebuilt.identifier_key
    {% endif %}
    inner join sessions
        on identity_map.shop = sessions.shop and identity_map.identifier = sessions.client_id

),

numbered as (

    select
        *,
        -- Bot sessions that share a browser with a person are numbered separately.
        row_number() over (partition by journey_id, is_bot order by started_at, session_id) as visit_number,
        {{ last_known("case when channel <> 'direct' then started_at end") }} over (
            partition by journey_id
            order by started_at, session_id
            rows between unbounded preceding and current row
        ) as last_non_direct_at,
        {{ last_known("case when channel <> 'direct' then channel end") }} over (
            partition by journey_id
            order by started_at, session_id
            rows between unbounded preceding and current row
        ) as last_channel
    from visits

)

select
    session_id,
    shop,
    client_id,
    identifier_key,
    local_date,
    journey_id,
    visit_number,
    visit_number = 1 as is_new_visitor,
    -- A direct visit is credited to the visitor's last non-direct channel within the lookback window.
    case
        when last_non_direct_at >= started_at - interval '{{ var("last_non_direct_days") }}' day then last_channel
        else 'direct'
    end as last_non_direct_channel
from numbered
