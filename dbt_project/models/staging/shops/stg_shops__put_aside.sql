select
    shop,
    reason,
    cast(put_aside_at as timestamp) as put_aside_at
from {{ source('shops', 'put_aside') }}
