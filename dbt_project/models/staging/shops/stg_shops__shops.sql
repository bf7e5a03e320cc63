select
    domain as shop,
    name,
    timezone,
    currency
from {{ source('shops', 'shops') }}
