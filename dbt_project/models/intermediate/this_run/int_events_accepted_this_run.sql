{#-
    The events that this run adds, or that replace a copy received later. A view: int_events stores these rows, and storing
    them twice would take a tenth of a full build.
-#}

{{ config(materialized='view') }}

with

received as (

    select * from {{ ref('int_events_received_this_run') }}
    where rejection_reason is null

),

copies as (

    select * from {{ ref('int_event_copies_this_run') }}

),

alone as (

    select received.*
    from received
    left join (select distinct event_key from copies) as repeated on received.event_key = repeated.event_key
    where repeated.event_key is null

),

-- A landing file may contain the same line twice, or an edited copy of it.
winners as (

    select
        received.*,
        row_number() over (
            partition by received.event_key
            order by
                received.user_agent, received.visitor_hash, received.pixel_version, received.is_analytics_allowed,
                received.is_marketing_allowed, received.is_preferences_allowed, received.is_sale_of_data_allowed,
                received.has_global_privacy_control, received.is_own_host
        ) as line_rank
    from received
    inner join copies
        on
            received.event_key = copies.event_key
            and received.received_at = copies.received_at
            and received.content_hash = copies.content_hash
            and received.request_id = copies.request_id
            and received.request_index = copies.request_index
            and received.landing_file = copies.landing_file
    where copies.copy_rank = 1 and not copies.is_stored

)

select {{ event_columns() }}
from alone

union all

select {{ event_columns() }}
from winners
where line_rank = 1
