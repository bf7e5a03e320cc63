{#-
    Daily co-views: sums that are additive over days, so that a run replaces only the days that changed. Each pair appears
    once, smaller id first; a product's pair with itself counts its sessions.
-#}

{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    incremental_predicates=[days_of_this_run()],
) }}

with

views as (

    select * from {{ ref('int_session_products') }}
    where {{ is_day_of_this_run('shop', 'local_date') }}

),

pairs as (

    select
        earlier.shop,
        earlier.local_date,
        least(earlier.product_id, later.product_id) as product_id,
        greatest(earlier.product_id, later.product_id) as other_product_id,
        earlier.product_id <= later.product_id as is_forward,
        case
            when earlier.views_to_end <= later.views_to_end + {{ var('max_view_distance') }}
                then {{ exact(
                    '1 / power(earlier.views_to_end - later.views_to_end, ' ~ var('view_distance_power') ~ ')'
                ) }}
            else 0
        end as weight,
        -- Only last views of both, so that a session counts once per pair.
        case
            when earlier.is_last_view and later.is_last_view and earlier.product_id <> later.product_id then 1
            else 0
        end as sessions
    from views as earlier
    inner join views as later
        on
            earlier.session_id = later.session_id
            and earlier.views_to_end > later.views_to_end

    union all

    select
        shop,
        local_date,
        product_id,
        product_id as other_product_id,
        true as is_forward,
        0 as weight,
        1 as sessions
    from views
    where is_last_view

)

select
    shop,
    local_date,
    product_id,
    other_product_id,
    cast(sum(sessions) as bigint) as sessions,
    cast(sum(case when is_forward then weight else 0 end) as decimal(18, 9)) as forward_weight,
    cast(sum(case when is_forward then 0 else weight end) as decimal(18, 9)) as backward_weight
from pairs
group by shop, local_date, product_id, other_product_id
