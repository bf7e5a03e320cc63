{{ config(materialized='view') }}

with

views as (

    select * from {{ ref('int_events') }}
    where event_name = 'product_viewed'

),

prices as (

    select * from {{ ref('variant_history') }}
    where valid_to is null or valid_from < valid_to

),

flags as (

    select * from {{ ref('int_session_flags') }}

),

shops as (

    select * from {{ ref('stg_shops__shops') }}

)

select
    views.event_key,
    views.shop,
    views.session_id,
    views.client_id,
    views.event_at as viewed_at,
    {{ local_time('views.event_at', "coalesce(shops.timezone, 'UTC')") }} as viewed_local_at,
    views.local_date,
    views.product_id,
    views.variant_id,
    views.sku,
    views.product_title,
    views.price,
    views.currency,
    prices.price as listed_price,
    -- The page's event takes precedence: the Admin API is queried only once per run.
    coalesce(views.is_available, prices.is_available) as was_available,
    coalesce(flags.is_bot, false) as is_bot,
    coalesce(flags.is_test, false) as is_test
from views
left join flags on views.session_id = flags.session_id
left join shops on views.shop = shops.shop
left join prices
    on
        views.shop = prices.shop
        and views.variant_id = prices.variant_id
        and views.event_at >= prices.valid_from
        and (views.event_at < prices.valid_to or prices.valid_to is null)
