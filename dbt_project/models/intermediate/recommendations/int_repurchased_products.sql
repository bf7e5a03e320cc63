{#- Products that are bought repeatedly and therefore also recommended to their owners. -#}

with

buyers as (

    select
        shop,
        product_id,
        journey_id,
        count(distinct order_key) as orders
    from {{ ref('int_baskets') }}
    where journey_id is not null
    group by shop, product_id, journey_id

)

select
    shop,
    product_id,
    count(*) as buyers,
    sum(case when orders > 1 then 1 else 0 end) as repeat_buyers
from buyers
group by shop, product_id
having
    count(*) >= {{ var('repurchase_min_buyers') }}
    and sum(case when orders > 1 then 1 else 0 end) >= {{ var('repurchase_share') }} * count(*)
