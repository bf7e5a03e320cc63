{#- A click counts even if the view of its list never arrived. -#}

with

clicks as (

    select * from {{ ref('int_list_events') }}
    where is_click

),

seen as (

    select distinct
        shop,
        request_id
    from {{ ref('impressions') }}
    where request_id is not null

),

flags as (

    select * from {{ ref('int_session_flags') }}

),

visits as (

    select * from {{ ref('int_visits') }}

),

numbered as (

    select
        clicks.*,
        visits.journey_id,
        coalesce(flags.is_bot, false) as is_bot,
        coalesce(flags.is_test, false) as is_test,
        row_number() over (
            partition by clicks.shop, clicks.source, coalesce(clicks.request_id, clicks.event_key), clicks.product_id
            order by coalesce(flags.is_bot, false), clicks.event_at, clicks.event_id
        ) as click_rank
    from clicks
    left join flags on clicks.session_id = flags.session_id
    left join visits on clicks.session_id = visits.session_id

)

select
    numbered.event_key as click_key,
    numbered.shop,
    numbered.event_id,
    numbered.source,
    numbered.request_id,
    numbered.client_id,
    numbered.session_id,
    numbered.journey_id,
    numbered.event_at as clicked_at,
    numbered.local_date,
    numbered.placement,
    numbered.seed_product_id,
    numbered.product_id,
    numbered.strategy,
    numbered.position,
    numbered.model_version,
    numbered.version,
    numbered.source = 'pixelnova' and seen.request_id is not null as has_impression,
    numbered.click_rank > 1 as is_repeated,
    numbered.is_bot,
    numbered.is_test
from numbered
left join seen on numbered.shop = seen.shop and numbered.request_id = seen.request_id
