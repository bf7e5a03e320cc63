{#-
    Frequently viewed together: item-to-item lists from views in the same session. Later views count more than earlier
    ones.
-#}

{% set half_life, backward = var('view_half_life_days'), var('backward_view_weight') %}

with

windows as (

    select * from {{ ref('int_training_windows') }}

),

eligibility as (

    select * from {{ ref('eligibility') }}

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

-- Numbers replace long texts where millions of rows are sorted.
numbered as (

    select
        totals.trained_for,
        products.product_number,
        other_products.product_number as other_number,
        totals.sessions,
        totals.forward_weight,
        totals.backward_weight
    from totals
    inner join eligibility as products
        on totals.shop = products.shop and totals.product_id = products.product_id
    inner join eligibility as other_products
        on totals.shop = other_products.shop and totals.other_product_id = other_products.product_id

),

directed as (

    select
        trained_for,
        product_number,
        other_number as recommended_number,
        sessions as support,
        forward_weight + {{ backward }} * backward_weight as score
    from numbered

    union all

    select
        trained_for,
        other_number as product_number,
        product_number as recommended_number,
        sessions as support,
        backward_weight + {{ backward }} * forward_weight as score
    from numbered

),

-- Eligibility is known for today only: backtest lists use every product.
candidates as (

    select
        directed.*,
        case
            when directed.trained_for = 'backtest' then -shown.product_number
            else coalesce(shown.diversity_number, -shown.product_number)
        end as diversity_number
    from directed
    inner join eligibility as shown on directed.recommended_number = shown.product_number
    where
        directed.support >= {{ var('min_sessions_together') }}
        and directed.score > 0
        and (shown.is_eligible or directed.trained_for = 'backtest')

),

{{ diverse_lists('candidates', ['trained_for', 'product_number'], var('list_limit')) }},

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
    seeds.shop,
    seeds.product_id,
    shown.product_id as recommended_product_id,
    listed.position,
    {{ rounded("listed.score / nullif(seeds_viewed.recent_sessions, 0)", 9) }} as score,
    listed.support,
    {{ rounded("listed.support / cast(seeds_viewed.sessions as double)", 9) }} as confidence,
    {{ rounded(
        "listed.support * viewing_sessions.sessions / (cast(seeds_viewed.sessions as double) * shown_viewed.sessions)", 9
    ) }} as lift
from listed
inner join eligibility as seeds on listed.product_number = seeds.product_number
inner join eligibility as shown on listed.recommended_number = shown.product_number
inner join viewed_products as seeds_viewed
    on
        listed.trained_for = seeds_viewed.trained_for
        and seeds.shop = seeds_viewed.shop
        and seeds.product_id = seeds_viewed.product_id
inner join viewed_products as shown_viewed
    on
        listed.trained_for = shown_viewed.trained_for
        and shown.shop = shown_viewed.shop
        and shown.product_id = shown_viewed.product_id
inner join viewing_sessions
    on listed.trained_for = viewing_sessions.trained_for and seeds.shop = viewing_sessions.shop
