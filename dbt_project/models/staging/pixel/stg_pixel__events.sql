{{ config(materialized='table') }}

with

usable as (

    select *
    from {{ ref('base_pixel__events') }}
    where rejection_reason is null

),

-- The first received copy wins. What follows received_at makes the choice the same in every run.
ranked as (

    select
        *,
        row_number() over (
            partition by shop, event_id
            order by received_at, content_hash, request_id, request_index
        ) as copy_number
    from usable

)

select
    {{ surrogate_key(['shop', 'event_id']) }} as event_key,
    shop,
    event_id,
    event_name,
    event_type,
    event_at,
    try_cast(event_sequence as bigint) as event_sequence,
    nullif(client_id, '') as client_id,
    page_url,
    page_path,
    nullif(page_query, '') as page_query,
    page_title,
    nullif(referrer_url, '') as referrer_url,
    user_agent,
    try_cast(is_analytics_allowed as boolean) as is_analytics_allowed,
    try_cast(is_marketing_allowed as boolean) as is_marketing_allowed,
    has_global_privacy_control,
    is_own_host,
    pixel_version,
    visitor_hash,
    received_at,
    landing_file,
    event
from ranked
where copy_number = 1
