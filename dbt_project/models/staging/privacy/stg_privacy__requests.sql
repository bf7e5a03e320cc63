select
    shop,
    request_id,
    topic,
    cast(requested_at as timestamp) as requested_at,
    cast(due_at as timestamp) as due_at,
    status,
    cast(fulfilled_at as timestamp) as fulfilled_at,
    subject,
    detail,
    events,
    clients,
    tokens,
    customers,
    orders
from {{ source('privacy', 'requests') }}
