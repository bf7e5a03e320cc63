{#- The past sessions with which the read API compares a session in progress. -#}

with

as_of as (

    select * from {{ ref('int_as_of') }}

),

views as (

    select
        views.shop,
        views.session_id,
        views.product_id,
        max(views.last_viewed_at) as last_viewed_at,
        min(views.views_to_end) as views_to_end
    from {{ ref('int_session_products') }} as views
    inner join as_of on views.shop = as_of.shop
    where views.last_viewed_at > as_of.as_of - interval '{{ var("neighbour_days") }}' day
    group by views.shop, views.session_id, views.product_id

),

numbered as (

    select
        shop,
        dense_rank() over (partition by shop order by last_viewed_at desc, session_id) - 1 as session_number,
        1 + max(views_to_end) over (partition by shop, session_id) - views_to_end as place,
        product_id
    from views

)

select
    shop,
    session_number,
    place,
    product_id
from numbered
where session_number < {{ var('exported_sessions') }}
