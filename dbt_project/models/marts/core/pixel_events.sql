{{ config(materialized='view') }}

with

events as (

    select * from {{ ref('int_events') }}

),

flags as (

    select * from {{ ref('int_session_flags') }}

),

shops as (

    select * from {{ ref('stg_shops__shops') }}

),

visits as (

    select
        session_id,
        journey_id
    from {{ ref('int_visits') }}

)

select
    events.event_key,
    events.shop,
    events.event_id,
    events.event_name,
    events.event_type,
    events.event_at,
    {{ local_time('events.event_at', "coalesce(shops.timezone, 'UTC')") }} as event_local_at,
    events.local_date,
    events.event_sequence,
    events.client_id,
    events.session_id,
    visits.journey_id,
    coalesce(flags.is_bot, false) as is_bot,
    coalesce(flags.is_test, false) as is_test,
    case
        when events.is_analytics_allowed then 'granted'
        when not events.is_analytics_allowed then 'refused'
        else 'unknown'
    end as consent,
    events.is_marketing_allowed,
    events.is_preferences_allowed,
    events.is_sale_of_data_allowed,
    events.has_global_privacy_control,
    events.is_own_host,
    events.page_url,
    events.page_path,
    events.page_title,
    events.referrer_url,
    events.user_agent,
    events.product_id,
    events.variant_id,
    events.checkout_token,
    events.customer_id,
    events.pixel_version,
    events.received_at,
    {{ elapsed('second', 'events.event_at', 'events.received_at') }} as lateness_seconds,
    events.landing_file
from events
left join flags on events.session_id = flags.session_id
left join shops on events.shop = shops.shop
left join visits on events.session_id = visits.session_id
