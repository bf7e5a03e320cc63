{#- The warehouse's clock: no model asks the machine's, so that a rebuild gives the same rows. -#}

select max(received_at) as as_of
from {{ ref('base_pixel__events') }}
