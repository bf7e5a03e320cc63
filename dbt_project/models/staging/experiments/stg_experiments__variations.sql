select
    shop,
    experiment,
    cast(phase as integer) as phase,
    variation,
    cast(variation_number as integer) as variation_number,
    weight,
    cast(bucket_from as integer) as bucket_from,
    cast(bucket_to as integer) as bucket_to,
    shows
from {{ source('experiments', 'variations') }}
where {{ is_built('shop') }}
