{#- Session-kNN and the lists of the products, blended: the same that the read API makes of a session in progress. -#}

with

as_of as (

    select * from {{ ref('int_as_of') }}

),

views as (

    select * from {{ ref('int_session_products') }}

),

visits as (

    select
        session_id,
        journey_id
    from {{ ref('int_visits') }}

),

warm_sessions as (

    select
        views.shop,
        views.session_id,
        visits.journey_id,
        row_number() over (
            partition by visits.journey_id
            order by views.last_viewed_at desc, views.session_id
        ) as recency,
        row_number() over (
            partition by views.shop
            order by views.last_viewed_at desc, views.session_id
        ) as place
    from views
    inner join as_of on views.shop = as_of.shop
    inner join visits on views.session_id = visits.session_id
    where
        views.views_to_end = 1
        and views.last_viewed_at > as_of.as_of - interval '{{ var("warm_session_hours") }}' hour

),

prefixes as (

    select
        warm_sessions.session_id as prefix_id,
        views.shop,
        views.session_id,
        views.product_id,
        min(views.views_to_end) as distance
    from warm_sessions
    inner join views on warm_sessions.session_id = views.session_id
    where
        warm_sessions.recency = 1
        and warm_sessions.place <= {{ var('warm_sessions') }}
        and views.views_to_end <= {{ var('session_views') }}
    group by warm_sessions.session_id, views.shop, views.session_id, views.product_id

),

lists as (

    select
        shop,
        product_id,
        recommended_product_id,
        score
    from {{ ref('int_viewed_together') }}

    union all

    -- What is viewed once more is not shown again, but it is on the scale.
    select
        shop,
        product_id,
        product_id as recommended_product_id,
        again as score
    from {{ ref('int_viewed_products') }}
    where again > 0

),

-- Of each product only the newest sessions count, which are not old.
windows as (

    {{ last_days(var('neighbour_days')) }}

),

recent_views as (

    select views.*
    from views
    inner join windows
        on views.shop = windows.shop and views.local_date between windows.first_date and windows.last_date

),

{{ session_neighbours('prefixes', 'recent_views') }},

{{ combined_lists('prefixes', 'lists') }},

{{ blended_scores() }},

-- What has been seen in the session is not what comes next.
candidates as (

    select
        blended.shop,
        blended.prefix_id as session_id,
        blended.recommended_product_id,
        blended.score,
        cast(null as bigint) as support
    from blended
    left join views
        on blended.prefix_id = views.session_id and blended.recommended_product_id = views.product_id
    where views.session_id is null

),

{{ best_of_each_list('candidates', ['session_id'], var('list_limit')) }}

select
    listed.shop,
    visits.journey_id,
    listed.session_id,
    listed.position,
    listed.recommended_product_id,
    listed.score,
    as_of.as_of as computed_at,
    '{{ var("model_version") }}' as model_version
from listed
left join as_of on listed.shop = as_of.shop
inner join visits on listed.session_id = visits.session_id
