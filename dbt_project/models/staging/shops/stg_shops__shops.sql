select
    domain as shop,
    name,
    timezone,
    currency
from {{ source('shops', 'shops') }}
where {{ is_built('domain') }}
