{#- Frequently viewed together: item-to-item lists from views of the same session. -#}

with

windows as (

    {{ last_days(var('view_window_days')) }}

),

{{ viewed_together_pairs('windows', 3 * var('list_limit')) }},

{{ best_of_each_list('viewed_pairs', ['product_number'], var('list_limit'), is_cut=true) }}

select
    shop,
    product_id,
    recommended_product_id,
    position,
    score,
    support,
    confidence,
    lift
from listed
