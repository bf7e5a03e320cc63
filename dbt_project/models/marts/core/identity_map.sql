{{ config(
    materialized='incremental',
    incremental_strategy='replace_touched',
    incremental_predicates=[
        "identifier_key in (select touched.identifier_key from intermediate.int_touched_identifiers as touched)"
    ],
) }}

with

identifiers as (

    select * from {{ ref('int_identifiers') }}

),

components as (

    select * from {{ ref('int_identity_components') }}

),

owners as (

    select * from {{ ref('int_identity_owners') }}

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

-- A journey, and a component, is named for its smallest identifier.
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
