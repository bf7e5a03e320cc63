{#- The number of sessions that viewed each product, and its score for being viewed again. -#}

{% set half_life = var('view_half_life_days') %}

with

windows as (

    select * from {{ ref('int_training_windows') }}

),

-- A product's pair with itself counts its sessions.
views as (

    select * from {{ ref('int_view_pairs_daily') }}
    where product_id = other_product_id

),

totals as (

    select
        windows.trained_for,
        views.shop,
        views.product_id,
        cast(sum(views.sessions) as bigint) as sessions,
        cast(sum({{ decayed('views.sessions', 'views.local_date', 'windows.last_date', half_life) }}) as double)
            as recent_sessions,
        cast(sum({{ decayed('views.forward_weight', 'views.local_date', 'windows.last_date', half_life) }}) as double)
            as forward_weight
    from views
    inner join windows
        on
            views.shop = windows.shop
            and views.local_date between windows.first_view_date and windows.last_date
    group by windows.trained_for, views.shop, views.product_id

)

select
    trained_for,
    shop,
    product_id,
    sessions,
    recent_sessions,
    {{ rounded("forward_weight * " ~ (1 + var('backward_view_weight')) ~ " / nullif(recent_sessions, 0)", 9) }} as again
from totals
