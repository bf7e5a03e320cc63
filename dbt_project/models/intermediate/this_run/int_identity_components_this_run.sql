{#- Connected components: identifiers that are linked directly or through any number of steps. -#}

{% set graph %}
nodes as (

    select node from {{ ref('int_identity_nodes_this_run') }}

),

both_ways as (

    select
        left_node as from_node,
        right_node as to_node
    from {{ ref('int_identity_edges_this_run') }}

    union all

    select
        right_node as from_node,
        left_node as to_node
    from {{ ref('int_identity_edges_this_run') }}

),

linked_nodes as (

    select distinct from_node as node
    from both_ways

)
{% endset %}

{{ with_connected_components(graph, 'linked_nodes', 'both_ways') }},

components as (

    select
        nodes.node,
        coalesce(labels.component, nodes.node) as component
    from nodes
    left join labels on nodes.node = labels.node

)

select
    components.node,
    components.component,
    count(*) over (partition by components.component) as identifiers,
    sum(case when identifiers.identifier_kind = 'customer' then 1 else 0 end)
        over (partition by components.component) as customers
from components
inner join {{ ref('int_identity_nodes_this_run') }} as identifiers on components.node = identifiers.node
