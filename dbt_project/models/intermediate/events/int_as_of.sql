{#- The current time of each shop, taken from its data, not the system clock, so that rebuilds give the same rows. -#}

select
    shop,
    last_received_at as as_of
from {{ ref('stg_pixel__last_received') }}
