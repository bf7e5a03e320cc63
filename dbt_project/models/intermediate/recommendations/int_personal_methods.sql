{#-
    The method for a shop's personal lists: closed-form regression (serving/recommenders) inverts a matrix of all active
    products, which is feasible up to about ten thousand; larger shops use item similarities.
-#}

select
    shop,
    count(distinct product_id) as active_products,
    case
        when count(distinct product_id) <= {{ var('ease_max_products') }} then 'ease'
        else 'item_similarity'
    end as method
from {{ ref('int_interests') }}
where trained_for = 'now'
group by shop
