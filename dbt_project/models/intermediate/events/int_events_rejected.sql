{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    incremental_predicates=[rows_of_this_run('landing_file', 'int_landing_files_this_run')],
) }}

select
    shop,
    received_at,
    landing_file,
    event_id,
    event_name,
    rejection_reason as reason,
    content
from {{ ref('int_events_received_this_run') }}
where rejection_reason is not null
