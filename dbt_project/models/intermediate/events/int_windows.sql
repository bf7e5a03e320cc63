{#- The windows of the rankings: the last 7, 30 and 90 days of each shop, up to the day of as_of. -#}

{{ config(materialized='view') }}

{% for days in var('window_days') %}
    select
        shop,
        {{ days }} as window_days,
        cast({{ dbt.dateadd('day', -(days - 1), 'today') }} as date) as first_date,
        today as last_date
    from {{ ref('int_shop_today') }}
    {{ "union all" if not loop.last }}
{% endfor %}
