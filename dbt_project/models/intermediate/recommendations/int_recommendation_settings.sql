{#- The settings that the recommenders outside of dbt share with it. -#}

{{ config(materialized='view') }}

{% for name in ['model_version', 'max_per_vendor_and_type'] %}
    select
        '{{ name }}' as name,
        '{{ var(name) }}' as value
    {{ "union all" if not loop.last }}
{% endfor %}
