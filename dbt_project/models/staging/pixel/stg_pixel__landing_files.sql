select
    landing_file,
    _dlt_load_id as load_id,
    cast(loaded_at as timestamp) as loaded_at,
    events,
    unreadable_lines,
    bytes,
    cast(newest_received_at as timestamp) as newest_received_at
from {{ source('pixel', 'landing_files') }}
