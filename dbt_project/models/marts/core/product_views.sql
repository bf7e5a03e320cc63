{{ config(materialized='view') }}

with

views as (

    select * from {{ ref('int_events') }}
    where event_name = 'product_viewed'

),

prices as (

    select * from {{ ref('variant_history') }}
    where valid_to is null or valid_from < valid_to

)

select
    views.event_key,
    views.shop,
    views.session_id,
    views.client_id,
    views.event_at as viewed_at,
    views.event_date as viewed_date,
    views.product_id,
    views.variant_id,
    views.sku,
    views.product_title,
    views.price,
    views.currency,
    prices.price as listed_price,
    prices.is_available as was_available
from views
left join prices
    on
        views.shop = prices.shop
        and views.variant_id = prices.variant_id
        and views.event_at >= prices.valid_from
        and (views.event_at < prices.valid_to or prices.valid_to is null)
