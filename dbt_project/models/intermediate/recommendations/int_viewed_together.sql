{#-
    Frequently viewed together: item-to-item lists from views of the same session. What came after counts more than what
    came before.
-#}

{% set half_life, backward = var('view_half_life_days'), var('backward_view_weight') %}

with

windows as (

    select * from {{ ref('int_training_windows') }}

),

viewed_products as (

    select * from {{ ref('int_viewed_products') }}

),

totals as (

    select
        windows.trained_for,
        pairs.shop,
        pairs.product_id,
        pairs.other_product_id,
        cast(sum(pairs.sessions) as bigint) as sessions,
        cast(sum({{ decayed('pairs.forward_weight', 'pairs.local_date', 'windows.last_date', half_life) }}) as double)
            as forward_weight,
        cast(sum({{ decayed('pairs.backward_weight', 'pairs.local_date', 'windows.last_date', half_life) }}) as double)
            as backward_weight
    from {{ ref('int_view_pairs_daily') }} as pairs
    inner join windows
        on
            pairs.shop = windows.shop
            and pairs.local_date between windows.first_view_date and windows.last_date
    where pairs.product_id <> pairs.other_product_id
    group by windows.trained_for, pairs.shop, pairs.product_id, pairs.other_product_id

),

directed as (

    select
        trained_for,
        shop,
        product_id,
        other_product_id as recommended_product_id,
        sessions as support,
        forward_weight + {{ backward }} * backward_weight as score
    from totals

    union all

    select
        trained_for,
        shop,
        other_product_id as product_id,
        product_id as recommended_product_id,
        sessions as support,
        backward_weight + {{ backward }} * forward_weight as score
    from totals

),

-- The rank within a product's list needs no figure of the product itself: those are joined to the few that are listed.
candidates as (

    select
        directed.*,
        seeds.product_number
    from directed
    inner join {{ ref('eligibility') }} as seeds
        on directed.shop = seeds.shop and directed.product_id = seeds.product_id
    where directed.support >= {{ var('min_sessions_together') }} and directed.score > 0

),

{{ best_of_each_list(
    'candidates', ['trained_for', 'product_number'], var('list_limit'), is_backtest="trained_for = 'backtest'"
) }},

viewing_sessions as (

    select
        windows.trained_for,
        sessions.shop,
        count(*) as sessions
    from {{ ref('int_session_products') }} as sessions
    inner join windows
        on
            sessions.shop = windows.shop
            and sessions.local_date between windows.first_view_date and windows.last_date
    where sessions.views_to_end = 1
    group by windows.trained_for, sessions.shop

)

select
    listed.trained_for,
    listed.shop,
    listed.product_id,
    listed.recommended_product_id,
    listed.position,
    round(listed.score / nullif(seeds.recent_sessions, 0), 9) as score,
    listed.support,
    round(listed.support / cast(seeds.sessions as double), 9) as confidence,
    round(listed.support * viewing_sessions.sessions / (cast(seeds.sessions as double) * shown.sessions), 9) as lift
from listed
inner join viewed_products as seeds
    on
        listed.trained_for = seeds.trained_for
        and listed.shop = seeds.shop
        and listed.product_id = seeds.product_id
inner join viewed_products as shown
    on
        listed.trained_for = shown.trained_for
        and listed.shop = shown.shop
        and listed.recommended_product_id = shown.product_id
inner join viewing_sessions
    on listed.trained_for = viewing_sessions.trained_for and listed.shop = viewing_sessions.shop
