{#- Frequently bought together: confidence, each pair weighed by how small the basket was. -#}

with

windows as (

    {{ last_days(var('order_window_days')) }}

),

{{ bought_together_pairs('windows') }},

{{ best_of_each_list('bought_pairs', ['shop', 'product_id'], var('list_limit')) }}

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
