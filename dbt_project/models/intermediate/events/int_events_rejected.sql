{{ config(
    materialized='incremental',
    incremental_strategy='replace_touched',
    incremental_predicates=["landing_file in (
        select pending.landing_file from intermediate.int_landing_files_pending as pending
    )"],
) }}

select
    shop,
    received_at,
    landing_file,
    event_id,
    event_name,
    rejection_reason as reason,
    content
from {{ ref('int_events_received') }}
where rejection_reason is not null
