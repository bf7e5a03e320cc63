select
    shop,
    lower(trim(value)) as value,
    min(channel) as channel
from {{ source('shops', 'channels') }}
group by shop, lower(trim(value))
