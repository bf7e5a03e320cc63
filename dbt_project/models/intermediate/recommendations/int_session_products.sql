{#-
    Product views of each session, numbered from its end. Only the last views of long sessions are kept: a session
    with hundreds of products is a bot's, or a search that lists cannot help with.
-#}

{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    incremental_predicates=[days_of_this_run()],
) }}

with

sessions as (

    select
        session_id,
        shop,
        local_date
    from {{ ref('int_sessions') }}
    where not is_bot and product_views > 0 and {{ is_day_of_this_run('shop', 'local_date') }}

),

views as (

    select
        sessions.session_id,
        sessions.shop,
        sessions.local_date,
        events.product_id,
        max(events.event_at) over (partition by events.session_id) as last_viewed_at,
        row_number() over (
            partition by events.session_id
            order by events.event_at desc, coalesce(events.event_sequence, 0) desc, events.event_key desc
        ) as views_to_end
    from {{ ref('int_events') }} as events
    inner join sessions on events.session_id = sessions.session_id
    where events.event_name = 'product_viewed' and events.product_id is not null

)

select
    session_id,
    shop,
    local_date,
    product_id,
    views_to_end,
    row_number() over (partition by session_id, product_id order by views_to_end) = 1 as is_last_view,
    last_viewed_at
from views
where views_to_end <= {{ var('max_session_views') }}
