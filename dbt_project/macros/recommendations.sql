{#- How lists are weighed and ranked: said once, for what is shown and for what is tried on the past. -#}

{% macro decayed(weight, date, today, half_life_days) -%}
    {#- A weight that halves with every so many days; 0 days: it stays. Exact decimals, whatever order rows come in. -#}
    {%- if half_life_days -%}
        {{ weight }} * cast(power(0.5, {{ elapsed('day', date, today) }} / {{ half_life_days }}.0) as decimal(18, 9))
    {%- else -%}
        cast({{ weight }} as decimal(36, 18))
    {%- endif -%}
{%- endmacro %}

{% macro place_weight(distance) -%}
    {#- What a product says of the next one, that was viewed so many views before it: 1, 0.35, 0.19, 0.13, 0.09. -#}
    (1 / ({{ distance }} * sqrt({{ distance }})))
{%- endmacro %}

{% macro viewed_together_pairs(windows, limit, eligible=true) -%}
    {#-
        CTEs from the daily pairs of views within `windows` (shop, first_date, last_date): viewed_products (shop,
        product_id, sessions, again: how readily it is viewed once more) and viewed_pairs (shop, product_id,
        recommended_product_id, place, support, confidence, lift, score): of each product the `limit` best, either of
        all or of those that may be shown, and then of each vendor and type a few. What came after counts more than
        what came before.
    -#}
    {%- set back, half_life = var('backward_view_weight'), var('view_half_life_days') -%}
    view_totals as (

        select
            pairs.shop,
            pairs.product_id,
            pairs.other_product_id,
            cast(sum(pairs.sessions) as bigint) as sessions,
            cast(sum({{ decayed('pairs.sessions', 'pairs.local_date', 'windows.last_date', half_life) }}) as double)
                as recent_sessions,
            cast(sum({{ decayed('pairs.forward_weight', 'pairs.local_date', 'windows.last_date', half_life) }}) as double)
                as forward_weight,
            cast(sum({{ decayed('pairs.backward_weight', 'pairs.local_date', 'windows.last_date', half_life) }}) as double)
                as backward_weight
        from {{ ref('int_view_pairs_daily') }} as pairs
        inner join {{ windows }} as windows
            on
                pairs.shop = windows.shop
                and pairs.local_date between windows.first_date and windows.last_date
        group by pairs.shop, pairs.product_id, pairs.other_product_id

    ),

    viewed_products as (

        select
            shop,
            product_id,
            sessions,
            recent_sessions,
            round(forward_weight * {{ 1 + back }} / nullif(recent_sessions, 0), 9) as again
        from view_totals
        where product_id = other_product_id

    ),

    viewing_sessions as (

        select
            sessions.shop,
            count(*) as sessions
        from {{ ref('int_session_products') }} as sessions
        inner join {{ windows }} as windows
            on
                sessions.shop = windows.shop
                and sessions.local_date between windows.first_date and windows.last_date
        where sessions.views_to_end = 1
        group by sessions.shop

    ),

    directed_views as (

        select
            shop,
            product_id,
            other_product_id as recommended_product_id,
            sessions as support,
            forward_weight + {{ back }} * backward_weight as weight
        from view_totals
        where product_id <> other_product_id

        union all

        select
            shop,
            other_product_id as product_id,
            product_id as recommended_product_id,
            sessions as support,
            backward_weight + {{ back }} * forward_weight as weight
        from view_totals
        where product_id <> other_product_id

    ),

    -- The rank within a product's list needs the weight only: what is measured is measured of few.
    numbered_views as (

        select
            views.*,
            seeds.product_number,
            shown.product_number as recommended_number,
            coalesce(shown.diversity_number, -shown.product_number) as diversity_number
        from directed_views as views
        inner join {{ ref('eligibility') }} as seeds
            on views.shop = seeds.shop and views.product_id = seeds.product_id
        inner join {{ ref('eligibility') }} as shown
            on views.shop = shown.shop and views.recommended_product_id = shown.product_id
        where
            views.support >= {{ var('min_sessions_together') }}
            and views.weight > 0
            {{ 'and shown.is_eligible' if eligible }}

    ),

    diverse_views as (

        select * from (
            select
                *,
                {% if eligible %}
                    row_number() over (
                        partition by product_number, diversity_number
                        order by weight desc, support desc, recommended_number
                    ) as place_in_group
                {% else %}
                    1 as place_in_group
                {% endif %}
            from numbered_views
        ) as grouped
        where place_in_group <= {{ var('max_per_vendor_and_type') }}

    ),

    heaviest_views as (

        select * from (
            select
                *,
                row_number() over (
                    partition by product_number
                    order by weight desc, support desc, recommended_number
                ) as place
            from diverse_views
        ) as ranked
        where place <= {{ limit }}

    ),

    viewed_pairs as (

        select
            views.shop,
            views.product_id,
            views.recommended_product_id,
            views.product_number,
            views.place,
            views.support,
            round(views.support / cast(one.sessions as double), 9) as confidence,
            round(views.support * viewing_sessions.sessions / (cast(one.sessions as double) * other.sessions), 9) as lift,
            round(views.weight / nullif(one.recent_sessions, 0), 9) as score
        from heaviest_views as views
        inner join viewed_products as one on views.shop = one.shop and views.product_id = one.product_id
        inner join viewed_products as other
            on views.shop = other.shop and views.recommended_product_id = other.product_id
        inner join viewing_sessions on views.shop = viewing_sessions.shop

    )
{%- endmacro %}

{% macro bought_together_pairs(windows) -%}
    {#-
        The CTE bought_pairs from the daily pairs of orders within `windows`: like viewed_pairs. Pairs that are no more
        frequent than chance are left out (lift), but lift is no rank: it would put the rarest pairs first.
    -#}
    {%- set half_life = var('order_half_life_days') -%}
    order_totals as (

        select
            pairs.shop,
            pairs.product_id,
            pairs.other_product_id,
            cast(sum(pairs.orders) as bigint) as orders,
            cast(sum({{ decayed('pairs.orders', 'pairs.local_date', 'windows.last_date', half_life) }}) as double)
                as recent_orders,
            cast(sum({{ decayed('pairs.weight', 'pairs.local_date', 'windows.last_date', half_life) }}) as double) as weight
        from {{ ref('int_order_pairs_daily') }} as pairs
        inner join {{ windows }} as windows
            on pairs.shop = windows.shop and pairs.local_date between windows.first_date and windows.last_date
        group by pairs.shop, pairs.product_id, pairs.other_product_id

    ),

    bought_products as (

        select * from order_totals
        where product_id = other_product_id

    ),

    orders_of_shops as (

        select
            baskets.shop,
            count(distinct baskets.order_key) as orders
        from {{ ref('int_baskets') }} as baskets
        inner join {{ windows }} as windows
            on baskets.shop = windows.shop and baskets.local_date between windows.first_date and windows.last_date
        where baskets.products <= {{ var('max_basket_products') }}
        group by baskets.shop

    ),

    directed_orders as (

        select
            shop,
            product_id,
            other_product_id as recommended_product_id,
            orders as support,
            weight
        from order_totals
        where product_id <> other_product_id

        union all

        select
            shop,
            other_product_id as product_id,
            product_id as recommended_product_id,
            orders as support,
            weight
        from order_totals
        where product_id <> other_product_id

    ),

    bought_measured as (

        select
            pairs.shop,
            pairs.product_id,
            pairs.recommended_product_id,
            pairs.support,
            round(pairs.support / cast(one.orders as double), 9) as confidence,
            round(pairs.support * orders_of_shops.orders / (cast(one.orders as double) * other.orders), 9) as lift,
            round(pairs.weight / nullif(one.recent_orders, 0), 9) as score
        from directed_orders as pairs
        inner join bought_products as one on pairs.shop = one.shop and pairs.product_id = one.product_id
        inner join bought_products as other
            on pairs.shop = other.shop and pairs.recommended_product_id = other.product_id
        inner join orders_of_shops on pairs.shop = orders_of_shops.shop
        where pairs.support >= {{ var('min_orders_together') }}

    ),

    bought_pairs as (

        select * from bought_measured
        where lift > 1

    )
{%- endmacro %}

{% macro best_of_each_list(candidates, list_columns, limit) -%}
    {#-
        The CTEs that end with `listed`: of `candidates` (shop, …, recommended_product_id, support, score) the eligible
        ones, best first, at most so many of one vendor and type, `position` from 1. `list_columns` name a list.
        Eligibility and variety come after the score and before the rank, so that no slot is lost.
    -#}
    {%- set lists = list_columns | join(', ') -%}
    {%- set order_by = 'score desc, support desc, recommended_number' -%}
    eligible_candidates as (

        select
            candidates.*,
            eligibility.product_number as recommended_number,
            coalesce(eligibility.diversity_number, -eligibility.product_number) as diversity_number
        from {{ candidates }} as candidates
        inner join {{ ref('eligibility') }} as eligibility
            on
                candidates.shop = eligibility.shop
                and candidates.recommended_product_id = eligibility.product_id
        where eligibility.is_eligible

    ),

    diverse as (

        select * from (
            select
                *,
                row_number() over (
                    partition by {{ lists }}, diversity_number
                    order by {{ order_by }}
                ) as place_in_group
            from eligible_candidates
        ) as grouped
        where place_in_group <= {{ var('max_per_vendor_and_type') }}

    ),

    listed as (

        select * from (
            select
                *,
                row_number() over (partition by {{ lists }} order by {{ order_by }}) as position
            from diverse
        ) as ranked
        where position <= {{ limit }}

    )
{%- endmacro %}

{% macro session_neighbours(prefixes, sessions) -%}
    {#-
        Session-kNN (Jannach and Ludewig 2017; weights after V-SKNN) as CTEs that end with `neighbour_scores`
        (prefix_id, shop, recommended_product_id, score): `prefixes` (prefix_id, shop, session_id, product_id, distance) are
        sessions in progress, each product once, `sessions` is shaped like int_session_products and holds those of the past.
    -#}
    past_products as (

        select
            shop,
            session_id,
            product_id,
            max(last_viewed_at) as last_viewed_at,
            -min(views_to_end) as place
        from {{ sessions }}
        group by shop, session_id, product_id

    ),

    -- A product that everybody views says less than one that few do.
    rarities as (

        select
            counted.shop,
            counted.product_id,
            ln(sum(counted.last_of_sessions) over (partition by counted.shop) / cast(counted.sessions as double)) as rarity
        from (
            select
                shop,
                product_id,
                count(*) as sessions,
                sum(case when place = -1 then 1 else 0 end) as last_of_sessions
            from past_products
            group by shop, product_id
        ) as counted

    ),

    recent_sessions as (

        select * from (
            select
                *,
                row_number() over (partition by shop, product_id order by last_viewed_at desc, session_id) as recency
            from past_products
            where (shop, product_id) in (select prefixes.shop, prefixes.product_id from {{ prefixes }} as prefixes)
        ) as recent
        where recency <= {{ var('neighbour_sessions_per_product') }}

    ),

    similar_sessions as (

        select
            prefixes.prefix_id,
            prefixes.shop,
            recent.session_id,
            max(recent.last_viewed_at) as last_viewed_at,
            sum({{ place_weight('prefixes.distance') }}) as similarity,
            {{ earliest('recent.place', ['prefixes.distance']) }} as match_place
        from {{ prefixes }} as prefixes
        inner join recent_sessions as recent
            on
                prefixes.shop = recent.shop
                and prefixes.product_id = recent.product_id
                and prefixes.session_id <> recent.session_id
        group by prefixes.prefix_id, prefixes.shop, recent.session_id

    ),

    neighbours as (

        select * from (
            select
                *,
                row_number() over (
                    partition by prefix_id order by round(similarity, 9) desc, last_viewed_at desc, session_id
                ) as nearness
            from similar_sessions
        ) as ranked
        where nearness <= {{ var('neighbour_sessions') }}

    ),

    neighbour_scores as (

        select
            neighbours.prefix_id,
            neighbours.shop,
            past.product_id as recommended_product_id,
            cast(sum(cast(
                neighbours.similarity * (1 + rarities.rarity / 5) / (1 + abs(past.place - neighbours.match_place))
                as decimal(18, 9)
            )) as double) as score
        from neighbours
        inner join past_products as past on neighbours.session_id = past.session_id
        inner join rarities on past.shop = rarities.shop and past.product_id = rarities.product_id
        group by neighbours.prefix_id, neighbours.shop, past.product_id

    )
{%- endmacro %}

{% macro combined_lists(prefixes, lists) -%}
    {#-
        The CTE list_scores (prefix_id, shop, recommended_product_id, score): what the lists of the last products of a
        session say together. `lists`: shop, product_id, recommended_product_id, score.
    -#}
    list_scores as (

        select
            prefixes.prefix_id,
            prefixes.shop,
            lists.recommended_product_id,
            cast(sum(cast({{ place_weight('prefixes.distance') }} * lists.score as decimal(18, 9))) as double) as score
        from {{ prefixes }} as prefixes
        inner join {{ lists }} as lists on prefixes.shop = lists.shop and prefixes.product_id = lists.product_id
        group by prefixes.prefix_id, prefixes.shop, lists.recommended_product_id

    )
{%- endmacro %}

{% macro blended_scores() -%}
    {#- The CTE blended, after neighbour_scores and list_scores: both on the scale of their best, the lists at 0.3. -#}
    blended as (

        select
            prefix_id,
            shop,
            recommended_product_id,
            round(sum(score), 9) as score
        from (
            select
                prefix_id,
                shop,
                recommended_product_id,
                score / nullif(max(score) over (partition by prefix_id), 0) as score
            from neighbour_scores

            union all

            select
                prefix_id,
                shop,
                recommended_product_id,
                {{ var('blend_of_lists') }} * score / nullif(max(score) over (partition by prefix_id), 0) as score
            from list_scores
        ) as scored
        group by prefix_id, shop, recommended_product_id

    )
{%- endmacro %}

{% macro last_days(days, ended_before=0) -%}
    {#- The body of a CTE: shop, first_date, last_date of so many days up to today, or up to so many days before it. -#}
    select
        shop,
        cast({{ dbt.dateadd('day', 1 - days - ended_before, 'today') }} as date) as first_date,
        cast({{ dbt.dateadd('day', -ended_before, 'today') }} as date) as last_date
    from {{ ref('int_shop_today') }}
    where today is not null
{%- endmacro %}

{% macro interests_of_journeys(windows) -%}
    {#-
        CTEs that end with `interests` (shop, journey_id, product_id, weight, orders, last_date): what each person viewed and
        put into a cart within `windows`, and bought until their last date. What somebody owns does not age.
    -#}
    visits as (

        select
            session_id,
            journey_id
        from {{ ref('int_visits') }}

    ),

    viewed as (

        select
            views.shop,
            visits.journey_id,
            views.product_id,
            1 as weight,
            0 as orders,
            views.local_date as last_date
        from {{ ref('int_session_products') }} as views
        inner join {{ windows }} as windows
            on
                views.shop = windows.shop
                and views.local_date between windows.first_date and windows.last_date
        inner join visits on views.session_id = visits.session_id

    ),

    carted as (

        select
            events.shop,
            visits.journey_id,
            events.product_id,
            {{ var('cart_weight') }} as weight,
            0 as orders,
            events.local_date as last_date
        from {{ ref('int_events') }} as events
        inner join {{ windows }} as windows
            on
                events.shop = windows.shop
                and events.local_date between windows.first_date and windows.last_date
        inner join visits on events.session_id = visits.session_id
        inner join {{ ref('int_sessions') }} as sessions on events.session_id = sessions.session_id
        where events.event_name = 'product_added_to_cart' and events.product_id is not null and not sessions.is_bot

    ),

    bought as (

        select
            baskets.shop,
            baskets.journey_id,
            baskets.product_id,
            {{ var('purchase_weight') }} as weight,
            1 as orders,
            baskets.local_date as last_date
        from {{ ref('int_baskets') }} as baskets
        inner join {{ windows }} as windows
            on baskets.shop = windows.shop and baskets.local_date <= windows.last_date
        where baskets.journey_id is not null

    ),

    signals as (

        select * from viewed
        union all
        select * from carted
        union all
        select * from bought

    ),

    interests as (

        select
            signals.shop,
            signals.journey_id,
            signals.product_id,
            max(signals.weight) as weight,
            cast(sum(signals.orders) as bigint) as orders,
            max(signals.last_date) as last_date
        from signals
        inner join {{ ref('eligibility') }} as eligibility
            on signals.shop = eligibility.shop and signals.product_id = eligibility.product_id
        where coalesce(eligibility.ineligible_reason, '') <> 'not in the catalogue'
        group by signals.shop, signals.journey_id, signals.product_id

    )
{%- endmacro %}

{% macro reason_in_words(strategy, support) -%}
    {#- Why an item is shown, as a merchant would say it. -#}
    case {{ strategy }}
        when 'pinned' then 'pinned by the merchant'
        when 'bought_together' then {{ support }} || ' orders hold both'
        when 'viewed_together' then {{ counted(support, 'session') }} || ' viewed both'
        when 'similar' then 'same collection, type or vendor at a like price'
        when 'popular_in_collection' then 'popular in a collection of the product'
        when 'trending' then {{ counted(support, 'visitor') }} || ' in a week, more than usual'
        else 'popular: ' || {{ counted(support, 'visitor') }} || ' of late'
    end
{%- endmacro %}

{% macro counted(number, noun) -%}
    {{ number }} || case when {{ number }} = 1 then ' {{ noun }}' else ' {{ noun }}s' end
{%- endmacro %}

{% macro every_list() -%}
    {#- The items of all lists: shop, list (its name), product_id of the page if there is one, recommended_product_id. -#}
    select
        shop,
        'related ' || strategy || ' ' || product_id as list,
        product_id,
        recommended_product_id
    from {{ ref('related_products') }}

    union all

    select
        shop,
        'page ' || product_id as list,
        product_id,
        recommended_product_id
    from {{ ref('product_page') }}

    union all

    select
        shop,
        strategy || ' ' || scope || ' ' || scope_value as list,
        null as product_id,
        recommended_product_id
    from {{ ref('popular_products') }}

    union all

    select
        shop,
        'session ' || session_id as list,
        null as product_id,
        recommended_product_id
    from {{ ref('next_in_session') }}
{%- endmacro %}
