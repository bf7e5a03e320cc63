{#- A list seen again (restored page, replayed request) has the same request_id; it counts once, when first seen. -#}

with

views as (

    select * from {{ ref('int_list_events') }}
    where not is_click

),

flags as (

    select * from {{ ref('int_session_flags') }}

),

visits as (

    select * from {{ ref('int_visits') }}

),

items as (

    select
        impression_key,
        count(*) as items
    from {{ ref('impression_items') }}
    group by impression_key

),

numbered as (

    select
        views.*,
        visits.journey_id,
        coalesce(flags.is_bot, false) as is_bot,
        coalesce(flags.is_test, false) as is_test,
        row_number() over (
            partition by views.shop, coalesce(views.request_id, views.event_key)
            order by coalesce(flags.is_bot, false), views.event_at, views.event_id
        ) as view_rank
    from views
    left join flags on views.session_id = flags.session_id
    left join visits on views.session_id = visits.session_id

)

select
    numbered.event_key as impression_key,
    numbered.shop,
    numbered.event_id,
    numbered.request_id,
    numbered.client_id,
    numbered.session_id,
    numbered.journey_id,
    numbered.event_at as viewed_at,
    numbered.local_date,
    numbered.placement,
    numbered.seed_product_id,
    numbered.model_version,
    numbered.version,
    coalesce(items.items, 0) as items,
    numbered.is_bot,
    numbered.is_test
from numbered
left join items on numbered.event_key = items.impression_key
where numbered.view_rank = 1
