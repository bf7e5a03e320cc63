with

views as (

    select
        shop,
        count(*) as rows_counted
    from {{ ref('product_views') }}
    group by shop

),

events as (

    select
        shop,
        count(*) as rows_counted
    from {{ ref('stg_pixel__events') }}
    where event_name = 'product_viewed'
    group by shop

)

select
    coalesce(views.shop, events.shop) as shop,
    views.rows_counted as views,
    events.rows_counted as events
from views
full outer join events on views.shop = events.shop
where views.rows_counted is distinct from events.rows_counted
