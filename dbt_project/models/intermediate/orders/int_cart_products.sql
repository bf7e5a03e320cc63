{#- The products that each session put into its cart. -#}

{{ config(materialized='view') }}

select
    shop,
    session_id,
    product_id,
    min(event_at) as first_added_at,
    sum(quantity) as quantity
from {{ ref('int_events') }}
where event_name = 'product_added_to_cart' and session_id is not null and product_id is not null
group by shop, session_id, product_id
