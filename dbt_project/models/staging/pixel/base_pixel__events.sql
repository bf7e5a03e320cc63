{{ config(materialized='table') }}

{% set event_fields = {
    'event_id': '$.id',
    'event_name': '$.name',
    'event_timestamp': '$.timestamp',
    'client_id': '$.clientId',
    'event_type': '$.type',
    'event_sequence': '$.seq',
    'page_url': '$.context.document.location.href',
    'page_path': '$.context.document.location.pathname',
    'page_query': '$.context.document.location.search',
    'page_title': '$.context.document.title',
    'referrer_url': '$.context.document.referrer',
    'browser_user_agent': '$.context.navigator.userAgent',
} %}

{% set consent_fields = {
    'is_analytics_allowed': '$.analyticsProcessingAllowed',
    'is_marketing_allowed': '$.marketingAllowed',
} %}

with

received as (

    select
        shop,
        cast(received_at as timestamp) as received_at,
        request_id,
        index as request_index,
        landing_file,
        pixel_version,
        visitor_hash,
        user_agent as request_user_agent,
        gpc as has_global_privacy_control,
        host_ok as is_own_host,
        {{ json_texts('consent', consent_fields.values() | list) }} as consent_texts,
        {{ json_texts('event', event_fields.values() | list) }} as event_texts,
        event
    from {{ source('pixel', 'events') }}

),

typed as (

    select
        shop,
        received_at,
        request_id,
        request_index,
        landing_file,
        pixel_version,
        visitor_hash,
        request_user_agent,
        has_global_privacy_control,
        is_own_host,
        event,
        md5(cast(event as {{ dbt.type_string() }})) as content_hash,
        {{ json_columns('consent_texts', consent_fields) }},
        {{ json_columns('event_texts', event_fields) }}
    from received

),

timed as (

    select
        *,
        coalesce(browser_user_agent, request_user_agent) as user_agent,
        {{ utc_timestamp('event_timestamp') }} as event_at
    from typed

)

select
    *,
    case
        when coalesce(event_id, '') = '' then 'the event has no id'
        when coalesce(event_name, '') = '' then 'the event has no name'
        when event_timestamp is null then 'the event has no timestamp'
        when event_at is null then concat('the timestamp is no time: ', event_timestamp)
        when event_at < timestamp '2000-01-01 00:00:00'
            then concat('the timestamp lies before the year 2000: ', event_timestamp)
        -- A clock may be a little wrong; a day in the future it would put sessions where nobody has been.
        when event_at > received_at + interval '1' day
            then concat('the timestamp lies in the future: ', event_timestamp)
    end as rejection_reason
from timed
