{#- How many sessions viewed each product, and how readily it is viewed once more. -#}

with

windows as (

    {{ last_days(var('view_window_days')) }}

),

{{ viewed_together_pairs('windows', 0) }}

select
    shop,
    product_id,
    sessions,
    again
from viewed_products
