select
    shop,
    experiment,
    experiment_name,
    cast(phase as integer) as phase,
    seed,
    layer,
    cast(layer_from as integer) as layer_from,
    cast(layer_to as integer) as layer_to,
    cast(holdout_started_at as timestamp) as holdout_started_at,
    cast(holdout_to as integer) as holdout_to,
    cast(started_at as timestamp) as started_at,
    cast(ended_at as timestamp) as ended_at,
    coverage,
    alpha,
    is_holdout,
    {{ split_text('devices', ',') }} as devices,
    {{ split_text('channels', ',') }} as channels,
    {{ split_text('placements', ',') }} as placements
from {{ source('experiments', 'phases') }}
where {{ is_built('shop') }}
