{#- Sessions with their journey and their position in it. -#}

{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    incremental_predicates=[rows_of_this_run('identifier_key', 'int_identifiers_this_run')],
) }}
-- depends_on: {{ ref('int_days_replaced_this_run') }}

select * from {{ ref('int_visits_this_run') }}
