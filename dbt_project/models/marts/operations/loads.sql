select
    load_id,
    max(loaded_at) as loaded_at,
    count(*) as landing_files,
    cast(sum(events) as bigint) as events,
    cast(sum(unreadable_lines) as bigint) as unreadable_lines,
    cast(sum(bytes) as bigint) as bytes,
    max(newest_received_at) as newest_received_at
from {{ ref('stg_pixel__landing_files') }}
group by load_id
