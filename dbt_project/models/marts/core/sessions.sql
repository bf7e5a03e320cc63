{{ config(materialized='view') }}

with

sessions as (

    select * from {{ ref('int_sessions') }}

),

visits as (

    select * from {{ ref('int_visits') }}

),

flags as (

    select * from {{ ref('int_session_flags') }}

),

shops as (

    select * from {{ ref('stg_shops__shops') }}

)

select
    sessions.session_id,
    sessions.shop,
    sessions.client_id,
    visits.journey_id,
    visits.visit_number,
    visits.is_new_visitor,
    sessions.started_at,
    {{ local_time('sessions.started_at', "coalesce(shops.timezone, 'UTC')") }} as started_local_at,
    sessions.ended_at,
    sessions.local_date,
    sessions.events,
    sessions.page_views,
    sessions.product_views,
    sessions.collection_views,
    sessions.searches,
    sessions.cart_adds,
    sessions.cart_removes,
    sessions.checkouts_started,
    sessions.checkouts_completed,
    sessions.landing_path,
    sessions.referrer_host,
    sessions.utm_source,
    sessions.utm_medium,
    sessions.utm_campaign,
    sessions.channel,
    visits.last_non_direct_channel,
    sessions.device,
    sessions.country,
    sessions.path,
    sessions.is_bot,
    sessions.bot_reason,
    flags.is_test
from sessions
inner join visits on sessions.session_id = visits.session_id
inner join flags on sessions.session_id = flags.session_id
left join shops on sessions.shop = shops.shop
