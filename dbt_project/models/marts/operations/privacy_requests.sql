select
    {{ surrogate_key(['shop', 'request_id']) }} as request_key,
    shop,
    request_id,
    topic,
    requested_at,
    due_at,
    status,
    fulfilled_at,
    detail
from {{ ref('stg_privacy__requests') }}
