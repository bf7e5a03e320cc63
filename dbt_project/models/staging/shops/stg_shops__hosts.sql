select
    shop,
    lower(host) as host
from {{ source('shops', 'hosts') }}
where {{ is_built('shop') }}
