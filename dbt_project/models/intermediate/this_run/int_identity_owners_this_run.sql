{#-
    The owner of each identifier in components with several customers, which are never merged. An identifier linked to a
    customer belongs to the customer of its latest such link. Any other follows a linked identifier: fewest steps to a
    customer, then the latest link, then the smallest identifier.
-#}

{% set graph %}
members as (

    select
        components.node,
        identifiers.identifier_kind
    from {{ ref('int_identity_components_this_run') }} as components
    inner join {{ ref('int_identity_nodes_this_run') }} as identifiers on components.node = identifiers.node
    where components.customers > 1 and components.identifiers <= {{ var('max_identifiers_per_journey') }}

),

customers as (

    select node
    from members
    where identifier_kind = 'customer'

),

links as (

    select
        left_node as from_node,
        right_node as to_node,
        last_linked_at,
        last_event_id
    from {{ ref('int_identity_edges_this_run') }}

    union all

    select
        right_node as from_node,
        left_node as to_node,
        last_linked_at,
        last_event_id
    from {{ ref('int_identity_edges_this_run') }}

),

links_of_members as (

    select links.*
    from links
    inner join members on links.to_node = members.node
    where members.identifier_kind <> 'customer'

)
{% endset %}

{{ with_nearest_owners(graph, 'customers', 'links_of_members') }}

select
    node,
    owner,
    steps
from owners
