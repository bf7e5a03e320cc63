{#- An active session predicts the next click better than long-term interests, so its list comes first. -#}

{{ config(pre_hook="{{ create_declared_table('recommendations', 'personal') }}") }}

with

visitors as (

    select
        shop,
        journey_id
    from {{ ref('visitors') }}

),

in_session as (

    select * from {{ ref('next_in_session') }}

),

journeys_in_session as (

    select distinct journey_id
    from in_session

),

items as (

    select
        personal.shop,
        personal.journey_id,
        personal.strategy,
        personal.position,
        personal.recommended_product_id,
        cast(personal.score as double) as score
    from {{ source('recommendations', 'personal') }} as personal
    left join journeys_in_session on personal.journey_id = journeys_in_session.journey_id
    where journeys_in_session.journey_id is null

    union all

    select
        shop,
        journey_id,
        'session_blend' as strategy,
        position,
        recommended_product_id,
        cast(score as double) as score
    from in_session

)

select items.*
from items
inner join visitors on items.shop = visitors.shop and items.journey_id = visitors.journey_id
