{#- Attribution of orders to sessions, for int_session_values and the marts that sum it. -#}

{% macro attribution_models() -%}
    {#- By model: the cumulative share of an order after each of its touches, in order; 1 after the last. -#}
    {{ return({
        'first_touch': '1',
        'last_touch': 'case when touch_number = touches then 1 else 0 end',
        'last_non_direct': 'case when touch_number >= last_non_direct_number then 1 else 0 end',
        'linear': 'cast(touch_number as double) / touches',
        'position_based': 'case when touch_number = touches then 1 when touches = 2 then 0.5'
            ~ ' else 0.4 + 0.2 * (touch_number - 1) / (touches - 2) end',
    }) }}
{%- endmacro %}

{% macro session_values_by(columns) -%}
    {#- A query: int_session_values by shop, date, these columns of the session, and currency. -#}
    {%- set keys = ['shop', 'local_date'] + columns + ['currency'] -%}
    {%- set amounts = ['sales'] -%}
    {%- for model in attribution_models() -%}
        {%- do amounts.append(model ~ '_sales') -%}
    {%- endfor -%}
with

today as (

    select * from {{ ref('int_shop_today') }}

),

session_values as (

    select
        *,
        -- What a person spends later counts once, however many sessions there were.
        row_number() over (
            partition by {{ (['journey_id'] + keys) | join(', ') }} order by started_at, session_id
        ) as session_number
    from {{ ref('int_session_values') }}

),

summed as (

    select
        {{ keys | join(',\n        ') }},
        count(*) filter (where is_session) as sessions,
        count(distinct case when is_session then journey_id end) as people,
        count(*) filter (where is_session and is_bounce) as bounces,
        count(*) filter (where is_session and reached_product) as product_sessions,
        {% for model in attribution_models() %}
            sum({{ model }}_orders) as {{ model }}_orders,
        {% endfor %}
        {% for days in var('value_days') %}
            sum(case when session_number = 1 then sales_{{ days }}_days end) as sales_{{ days }}_days,
        {% endfor %}
        {% for amount in amounts %}
            sum({{ amount }}) as {{ amount }},
        {% endfor %}
        sum(orders) as orders
    from session_values
    group by {{ keys | join(', ') }}

)

select
    {% for key in keys %}
        summed.{{ key }},
    {% endfor %}
    summed.sessions,
    summed.people,
    summed.bounces,
    cast(summed.bounces as double) / nullif(summed.sessions, 0) as bounce_rate,
    summed.product_sessions,
    cast(summed.orders as bigint) as orders,
    {{ total('summed.sales') }} as sales_amount,
    {% for days in var('value_days') %}
        -- Unknown until that time has passed.
        case
            when {{ dbt.dateadd('day', days, 'summed.local_date') }} < today.today
                then {{ total('summed.sales_' ~ days ~ '_days') }}
        end as sales_{{ days }}_days_amount,
    {% endfor %}
    {% for model in attribution_models() %}
        cast(summed.{{ model }}_orders as decimal(18, 6)) as {{ model }}_orders,
        {{ total('summed.' ~ model ~ '_sales') }} as {{ model }}_sales_amount{{ ',' if not loop.last }}
    {% endfor %}
from summed
left join today on summed.shop = today.shop
{%- endmacro %}
