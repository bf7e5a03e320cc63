select
    shop,
    experiment,
    metric,
    role
from {{ source('experiments', 'metrics') }}
where {{ is_built('shop') }}
