{#-
    The last distinct products of a session up to a point in it. `now`: sessions that may still continue, the newest per
    person. `backtest`: sessions up to the view to be predicted.
-#}

with

as_of as (

    select * from {{ ref('int_as_of') }}

),

views as (

    select * from {{ ref('int_session_products') }}

),

warm_sessions as (

    select
        views.shop,
        views.session_id,
        row_number() over (
            partition by visits.journey_id
            order by views.last_viewed_at desc, views.session_id
        ) as journey_session_rank,
        row_number() over (
            partition by views.shop
            order by views.last_viewed_at desc, views.session_id
        ) as shop_session_rank
    from views
    inner join as_of on views.shop = as_of.shop
    inner join {{ ref('int_visits') }} as visits on views.session_id = visits.session_id
    where
        views.views_to_end = 1
        and views.last_viewed_at > as_of.as_of - interval '{{ var("warm_session_hours") }}' hour

),

-- Only views further from the session's end than `views_to_end` are known.
moments as (

    select
        'now' as trained_for,
        session_id as prefix_id,
        session_id,
        0 as views_to_end
    from warm_sessions
    where journey_session_rank = 1 and shop_session_rank <= {{ var('warm_sessions') }}

    union all

    select
        'backtest' as trained_for,
        case_id as prefix_id,
        session_id,
        views_to_end
    from {{ ref('int_evaluation_cases') }}
    where task = 'next_view'

)

select
    moments.trained_for,
    views.shop,
    moments.prefix_id,
    moments.session_id,
    views.product_id,
    min(views.views_to_end - moments.views_to_end) as distance
from moments
inner join views
    on
        moments.session_id = views.session_id
        and views.views_to_end > moments.views_to_end
        and views.views_to_end <= moments.views_to_end + {{ var('session_views') }}
group by moments.trained_for, views.shop, moments.prefix_id, moments.session_id, views.product_id
