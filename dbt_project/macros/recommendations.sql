{#- How lists are weighted, ranked and explained, shared by several models. -#}

{% macro decayed(weight, date, today, half_life_days) -%}
    {#- A weight that decays with a half-life in days; 0 disables decay. Exact decimals make sums independent of row order. -#}
    {%- if half_life_days -%}
        cast({{ weight }} as decimal(18, 9))
        * {{ exact('power(0.5, cast(' ~ elapsed('day', date, today) ~ ' as double) / ' ~ half_life_days ~ ')') }}
    {%- else -%}
        cast({{ weight }} as decimal(36, 18))
    {%- endif -%}
{%- endmacro %}

{% macro place_weight(distance) -%}
    {#- The weight of a product viewed this many views before the next one: 1, 0.35, 0.19, 0.13, 0.09. -#}
    (1 / ({{ distance }} * sqrt({{ distance }})))
{%- endmacro %}

{% macro best_of_each_list(candidates, list_columns, limit, is_backtest='false') -%}
    {#-
        CTEs ending with `listed`: the eligible rows of `candidates` (shop, …, recommended_product_id, support, score),
        best first, limited per vendor and type, with `position` from 1. `list_columns` identify a list.
        Eligibility and diversity apply after scoring and before ranking, so that no slot is lost. Both are known for
        today only: backtest lists (rows where `is_backtest` holds) use every product.
    -#}
    eligible_candidates as (

        select
            candidates.*,
            eligibility.product_number as recommended_number,
            case
                when {{ is_backtest }} then -eligibility.product_number
                else coalesce(eligibility.diversity_number, -eligibility.product_number)
            end as diversity_number
        from {{ candidates }} as candidates
        inner join {{ ref('eligibility') }} as eligibility
            on
                candidates.shop = eligibility.shop
                and candidates.recommended_product_id = eligibility.product_id
        where eligibility.is_eligible or {{ is_backtest }}

    ),

    {{ diverse_lists('eligible_candidates', list_columns, limit) }}
{%- endmacro %}

{% macro diverse_lists(candidates, list_columns, limit) -%}
    {#-
        The same, for candidates that are eligible and already have recommended_number and diversity_number (vendor and
        type).
    -#}
    {%- set lists = list_columns | join(', ') -%}
    {%- set order_by = 'score desc, support desc, recommended_number' -%}
    diverse as (

        select * from (
            select
                *,
                row_number() over (
                    partition by {{ lists }}, diversity_number
                    order by {{ order_by }}
                ) as group_rank
            from {{ candidates }}
        ) as grouped
        where group_rank <= {{ var('max_per_vendor_and_type') }}

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

{% macro reason_in_words(strategy, support) -%}
    {#- Why an item is shown, in words for the merchant. -#}
    case {{ strategy }}
        when 'pinned' then 'pinned by the merchant'
        when 'bought_together' then 'bought together in ' || {{ counted(support, 'order') }}
        when 'viewed_together' then 'viewed together in ' || {{ counted(support, 'session') }}
        when 'similar' then 'same collection, type or vendor at a similar price'
        when 'popular_in_collection' then 'popular in one of the product' || chr(39) || 's collections'
        when 'trending' then 'trending: ' || {{ counted(support, 'visitor') }} || ' this week, more than usual'
        else 'popular: ' || {{ counted(support, 'recent visitor') }}
    end
{%- endmacro %}

{% macro counted(number, noun) -%}
    {{ number }} || case when {{ number }} = 1 then ' {{ noun }}' else ' {{ noun }}s' end
{%- endmacro %}

{% macro every_list() -%}
    {#- The items of all lists: shop, list (its name), product_id of its page if any, recommended_product_id. -#}
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

{% macro recommendation_pattern() -%}
    {#- The line property _pixelnova_rec: request id, placement, strategy and position (serving/storefront/README.md). -#}
    '^([^.]+)[.]([^.*]+)[.]([^.*]+)[.]([0-9]+)$'
{%- endmacro %}

{% macro levels_of(day, place, measures, relation, computed, levels) -%}
    {#-
        One row per level and group of `relation`. `levels` lists how many columns of `place` to keep; the others become
        *. `computed` has the expressions of some of the `measures`; the rest are null.
    -#}
    select
        {{ day | join(', ') }},
        case
            {% for column in place[: levels | max] | reverse %}
                when grouping({{ column }}) = 0 then '{{ column }}'
            {% endfor %}
            else 'source'
        end as level,
        {% for column in place[:2] %}
            {{ "case when grouping(" ~ column ~ ") = 0 then " ~ column ~ " else '*' end" if loop.index <= levels | max
                else "'*'" }} as {{ column }},
        {% endfor %}
        {{ 'position' if levels | max == 3 else 'cast(null as bigint)' }} as position,
        {% for measure in measures %}
            {{ computed.get(measure, 'null') }} as {{ measure }}{{ "," if not loop.last }}
        {% endfor %}
    from {{ relation }}
    group by
        grouping sets (
            {% for kept in levels %}
                ({{ (day + place[:kept] + (['currency'] if 'currency' in computed else [])) | join(', ') }})
                {{- "," if not loop.last }}
            {% endfor %}
        )
{%- endmacro %}
