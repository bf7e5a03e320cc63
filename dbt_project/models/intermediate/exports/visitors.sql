{#- Visitors for whom the read API has personal lists; all others get the general lists. -#}

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
    inner join {{ ref('int_permissions') }} as permissions on journeys.journey_id = permissions.journey_id
    where
        not journeys.is_bot
        and journeys.last_seen_at > as_of.as_of - interval '{{ var("visitor_days") }}' day
        and permissions.may_have_personal_lists

),

segments as (

    select
        journey_id,
        segment
    from {{ ref('int_customer_segments') }}

)

select
    journeys.shop,
    journeys.journey_id,
    coalesce(segments.segment, 'visitor') as segment,
    journeys.channel
from journeys
left join segments on journeys.journey_id = segments.journey_id
