{#- Visitors for whom the read API serves lists. -#}

with

as_of as (

    select * from {{ ref('int_as_of') }}

),

journeys as (

    select
        journeys.shop,
        journeys.journey_id,
        journeys.last_non_direct_channel as channel
    from {{ ref('user_journeys') }} as journeys
    inner join as_of on journeys.shop = as_of.shop
    where
        not journeys.is_bot
        and journeys.last_seen_at > as_of.as_of - interval '{{ var("visitor_days") }}' day

),

segments as (

    select
        journey_id,
        segment
    from {{ ref('int_customer_segments') }}

),

-- Global Privacy Control opts out of profiling: these visitors get the general lists.
objecting as (

    select distinct visits.journey_id
    from {{ ref('int_events') }} as events
    inner join {{ ref('int_visits') }} as visits on events.session_id = visits.session_id
    where events.has_global_privacy_control

)

select
    journeys.shop,
    journeys.journey_id,
    objecting.journey_id is null as is_profiled,
    case when objecting.journey_id is null then coalesce(segments.segment, 'visitor') end as segment,
    case when objecting.journey_id is null then journeys.channel end as channel
from journeys
left join segments on journeys.journey_id = segments.journey_id
left join objecting on journeys.journey_id = objecting.journey_id
