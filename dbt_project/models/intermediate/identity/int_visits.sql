{#- What a session is within its journey. -#}

{{ config(
    materialized='incremental',
    incremental_strategy='replace_touched',
    incremental_predicates=[
        "identifier_key in (select touched.identifier_key from intermediate.int_touched_identifiers as touched)"
    ],
) }}
-- depends_on: {{ ref('int_touched_days') }}

select * from {{ ref('int_visits_touched') }}
