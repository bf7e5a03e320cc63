{#- Pairs of identifiers that occur in the same event, among the identifiers of this run. -#}

with

identifiers as (

    select * from {{ ref('int_identity_nodes_this_run') }}

),

tokens as (

    select * from identifiers
    where identifier_kind = 'token'

),

customers as (

    select * from identifiers
    where identifier_kind = 'customer'

),

checkout_events as (

    select * from {{ ref('int_checkout_events') }}
    where
        -- An event has either all of its identifiers in this run, or none.
        checkout_token in (select tokens.identifier from tokens)
        or customer_id in (select customers.identifier from customers)

),

pairs as (

    {% for left_kind, left_column, right_kind, right_column in [
        ('client', 'client_id', 'customer', 'customer_id'),
        ('client', 'client_id', 'token', 'checkout_token'),
        ('customer', 'customer_id', 'token', 'checkout_token'),
    ] %}
        select
            shop,
            concat_ws('|', shop, '{{ left_kind }}', {{ left_column }}) as left_node,
            concat_ws('|', shop, '{{ right_kind }}', {{ right_column }}) as right_node,
            event_key,
            event_id,
            event_at
        from checkout_events
        where {{ left_column }} is not null and {{ right_column }} is not null
        {{ "union all" if not loop.last }}
    {% endfor %}

)

select
    pairs.left_node,
    pairs.right_node,
    min(pairs.event_at) as first_linked_at,
    {{ earliest('pairs.event_key', ['pairs.event_at', 'pairs.event_id']) }} as first_event_key,
    max(pairs.event_at) as last_linked_at,
    {{ latest('pairs.event_id', ['pairs.event_at', 'pairs.event_id']) }} as last_event_id
from pairs
inner join identifiers as left_identifiers on pairs.left_node = left_identifiers.node
inner join identifiers as right_identifiers on pairs.right_node = right_identifiers.node
group by pairs.left_node, pairs.right_node
