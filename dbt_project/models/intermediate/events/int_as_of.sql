{#- The warehouse's clock: no model asks the machine's, so that a rebuild gives the same rows. -#}

select max(newest_received_at) as as_of
from {{ ref('stg_pixel__landing_files') }}
