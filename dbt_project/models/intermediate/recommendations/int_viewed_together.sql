{#- Frequently viewed together: item-to-item lists from views of the same session. -#}

with

windows as (

    {{ last_days(var('view_window_days')) }}

),

{{ viewed_together_pairs('windows', var('list_limit')) }}

select
    shop,
    product_id,
    recommended_product_id,
    place as position,
    score,
    support,
    confidence,
    lift
from viewed_pairs
