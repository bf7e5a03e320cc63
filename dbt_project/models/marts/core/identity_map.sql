{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    incremental_predicates=[rows_of_this_run('identifier_key', 'int_identifiers_this_run')],
) }}

with

identifiers as (

    select * from {{ ref('int_identity_nodes_this_run') }}

),

components as (

    select * from {{ ref('int_identity_components_this_run') }}

),

owners as (

    select * from {{ ref('int_identity_owners_this_run') }}

),

placed as (

    select
        identifiers.*,
        components.component,
        components.identifiers <= {{ var('max_identifiers_per_journey') }} as is_stitched,
        case
            when components.identifiers > {{ var('max_identifiers_per_journey') }} then identifiers.node
            else coalesce(owners.owner, components.component)
        end as person
    from identifiers
    inner join components on identifiers.node = components.node
    left join owners on identifiers.node = owners.node

)

-- The id of a journey or component comes from its smallest identifier.
select
    identifier_key,
    shop,
    identifier_kind,
    identifier,
    first_value(identifier_key) over (
        partition by component, person
        order by node
        rows between unbounded preceding and unbounded following
    ) as journey_id,
    first_value(identifier_key) over (
        partition by component
        order by node
        rows between unbounded preceding and unbounded following
    ) as component_id,
    is_stitched,
    first_seen_at,
    last_seen_at
from placed
