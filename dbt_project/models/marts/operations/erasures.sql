select
    {{ surrogate_key(['shop', 'request_id']) }} as erasure_key,
    shop,
    request_id,
    topic,
    requested_at,
    fulfilled_at as erased_at,
    subject,
    events,
    clients,
    tokens as checkouts,
    customers,
    orders
from {{ ref('stg_privacy__requests') }}
where topic in ('customers/redact', 'shop/redact', 'operator/erase') and fulfilled_at is not null
