{#-
    Merges in event time, not run time: an event links two identifiers of one journey that had both been seen before but
    were not yet linked. The earlier journeys follow from the links before that event.
-#}

{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    incremental_predicates=[rows_of_this_run('journey_id', 'int_identifiers_this_run', 'identifier_key')],
) }}

{% set graph %}
identifiers as (

    select
        identifiers.node,
        identifiers.identifier_key,
        identifiers.shop,
        identifiers.first_seen_at,
        identity_map.journey_id
    from {{ ref('int_identity_nodes_this_run') }} as identifiers
    inner join {{ ref('identity_map') }} as identity_map on identifiers.identifier_key = identity_map.identifier_key

),

edges as (

    select
        edges.left_node,
        edges.right_node,
        edges.first_linked_at,
        edges.first_event_key,
        left_identifiers.shop,
        left_identifiers.journey_id,
        edges.first_linked_at > left_identifiers.first_seen_at
        and edges.first_linked_at > right_identifiers.first_seen_at as both_were_known
    from {{ ref('int_identity_edges_this_run') }} as edges
    inner join identifiers as left_identifiers on edges.left_node = left_identifiers.node
    inner join identifiers as right_identifiers
        on
            edges.right_node = right_identifiers.node
            and left_identifiers.journey_id = right_identifiers.journey_id

),

events as (

    select distinct
        first_event_key as event_key,
        first_linked_at as changed_at,
        shop,
        journey_id
    from edges
    where both_were_known

),

-- The journey as it was known just before each of these events.
earlier_nodes as (

    select
        events.event_key || '|' || identifiers.node as node,
        events.event_key,
        identifiers.identifier_key
    from events
    inner join identifiers
        on events.journey_id = identifiers.journey_id and identifiers.first_seen_at < events.changed_at

),

earlier_edges as (

    select
        events.event_key || '|' || edges.left_node as left_node,
        events.event_key || '|' || edges.right_node as right_node
    from events
    inner join edges
        on
            events.journey_id = edges.journey_id
            and (
                edges.first_linked_at < events.changed_at
                or (edges.first_linked_at = events.changed_at and edges.first_event_key < events.event_key)
            )

),

both_ways as (

    select
        left_node as from_node,
        right_node as to_node
    from earlier_edges

    union all

    select
        right_node as from_node,
        left_node as to_node
    from earlier_edges

)
{% endset %}

{{ with_connected_components(graph, 'earlier_nodes', 'both_ways') }},

-- The identifiers that the event links, by the journey that each was in.
linked as (

    select
        events.event_key,
        events.changed_at,
        events.shop,
        events.journey_id,
        labels.component
    from events
    inner join (
        select
            first_event_key,
            left_node as node
        from edges

        union

        select
            first_event_key,
            right_node as node
        from edges
    ) as ends on events.event_key = ends.first_event_key
    inner join labels on events.event_key || '|' || ends.node = labels.node
    group by events.event_key, events.changed_at, events.shop, events.journey_id, labels.component

),

merged as (

    select
        *,
        min(component) over (partition by event_key) as first_component
    from linked

)

select
    {{ surrogate_key(['merged.shop', 'merged.event_key', 'former.identifier_key']) }} as change_key,
    merged.shop,
    merged.changed_at,
    merged.event_key,
    former.identifier_key as former_journey_id,
    surviving.identifier_key as merged_into_journey_id,
    merged.journey_id
from merged
inner join earlier_nodes as former on merged.component = former.node
inner join earlier_nodes as surviving on merged.first_component = surviving.node
where merged.component <> merged.first_component
