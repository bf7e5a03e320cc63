{#-
    The training windows of lists: `now` ends today, `backtest` before the evaluation days. Every trained model keeps
    both, distinguished by `trained_for`.
-#}

{{ config(materialized='view') }}

{% for trained_for, held_out_days in {'now': 0, 'backtest': var('evaluation_days')}.items() %}
    select
        shop,
        '{{ trained_for }}' as trained_for,
        {% for kind, days in {
            'view': var('view_window_days'),
            'order': var('order_window_days'),
            'popular': var('popular_days'),
            'neighbour': var('neighbour_days'),
            'interest': var('personal_days'),
        }.items() %}
            cast({{ dbt.dateadd('day', 1 - days - held_out_days, 'today') }} as date) as first_{{ kind }}_date,
        {% endfor %}
        cast({{ dbt.dateadd('day', -held_out_days, 'today') }} as date) as last_date
    from {{ ref('int_shop_today') }}
    where today is not null
    {{ "union all" if not loop.last }}
{% endfor %}
