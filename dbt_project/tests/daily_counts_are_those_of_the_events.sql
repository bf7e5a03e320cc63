{#- Per shop: daily counts of events, and of views without bots (in all and by product), equal the event counts. -#}

with

events as (

    select
        shop,
        count(*) as events,
        count(*) filter (where event_name = 'product_viewed' and not is_bot) as product_views,
        count(*) filter (where event_name = 'product_viewed' and not is_bot and product_id is not null)
            as product_views_with_product
    from {{ ref('pixel_events') }}
    group by shop

),

volume as (

    select
        shop,
        sum(events) as events
    from {{ ref('event_volume') }}
    group by shop

),

days as (

    select
        shop,
        sum(product_views) as product_views
    from {{ ref('daily_shop') }}
    group by shop

),

products as (

    select
        shop,
        sum(views) as views
    from {{ ref('daily_product') }}
    group by shop

)

select events.shop
from events
left join volume on events.shop = volume.shop
left join days on events.shop = days.shop
left join products on events.shop = products.shop
where
    {{ counts_all_days('events.shop') }}
    and (
        events.events <> coalesce(volume.events, 0)
        or events.product_views <> coalesce(days.product_views, 0)
        or events.product_views_with_product <> coalesce(products.views, 0)
    )
