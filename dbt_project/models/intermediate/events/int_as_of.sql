{#- Each shop's own clock: no model asks the machine's, so that a rebuild gives the same rows. -#}

select
    shop,
    last_received_at as as_of
from {{ ref('stg_pixel__last_received') }}
