select
    shop,
    name,
    timezone,
    currency
from {{ ref('stg_shops__shops') }}
