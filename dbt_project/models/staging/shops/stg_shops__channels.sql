select
    shop,
    lower(trim(value)) as value,
    min(channel) as channel
from {{ source('shops', 'channels') }}
where {{ is_built('shop') }}
group by shop, lower(trim(value))
