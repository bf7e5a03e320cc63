select
    shop,
    rule,
    beside,
    product,
    place
from {{ source('shops', 'recommendation_rules') }}
where {{ is_built('shop') }}
