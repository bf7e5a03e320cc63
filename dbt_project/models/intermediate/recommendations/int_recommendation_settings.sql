{#- The settings shared with the steps after dbt: recommenders, export and, through the manifest, the read API. -#}

{{ config(materialized='view') }}

{% set names = [
    'model_version',
    'list_limit',
    'max_per_vendor_and_type',
    'session_views',
    'neighbour_sessions_per_product',
    'neighbour_sessions',
    'neighbour_days',
    'blend_of_lists',
    'purchase_weight',
    'interest_half_life_days',
    'personal_active_days',
    'evaluation_cases',
    'evaluation_min_cases',
    'evaluation_min_history',
    'experiment_max_mixed_share',
    'experiment_target_lift',
] %}

{% for name in names %}
    select
        '{{ name }}' as name,
        '{{ var(name) }}' as value
    {{ "union all" if not loop.last }}
{% endfor %}
