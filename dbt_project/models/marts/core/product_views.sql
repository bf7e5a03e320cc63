with

views as (

    select * from {{ ref('int_product_views') }}

),

sessionized as (

    select * from {{ ref('int_events_sessionized') }}

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
    views.currency
from views
left join sessionized on views.event_key = sessionized.event_key
left join shops on views.shop = shops.shop
