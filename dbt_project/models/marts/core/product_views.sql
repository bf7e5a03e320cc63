with

views as (

    select * from {{ ref('int_product_views') }}

),

sessionized as (

    select * from {{ ref('int_events_sessionized') }}

),

prices as (

    select * from {{ ref('variant_history') }}
    where valid_to is null or valid_from < valid_to

),

shops as (

    select * from {{ ref('shops') }}

)

select
    views.event_key,
    views.shop,
    sessionized.session_id,
    views.client_id,
    views.event_at as viewed_at,
    {{ local_date('views.event_at', "coalesce(shops.timezone, 'UTC')") }} as viewed_date,
    views.product_id,
    views.variant_id,
    views.sku,
    views.product_title,
    views.price,
    views.currency,
    prices.price as listed_price,
    prices.is_available as was_available
from views
left join sessionized on views.event_key = sessionized.event_key
left join shops on views.shop = shops.shop
left join prices
    on
        views.shop = prices.shop
        and views.variant_id = prices.variant_id
        and views.event_at >= prices.valid_from
        and (views.event_at < prices.valid_to or prices.valid_to is null)
