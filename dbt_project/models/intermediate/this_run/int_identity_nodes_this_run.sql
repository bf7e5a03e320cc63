{#-
    The nodes of the identity graph that this run rebuilds: clients, checkout tokens and customers, with first and last event.
-#}

with

rebuilt as (

    select * from {{ ref('int_identifiers_this_run') }}

),

sessions as (

    select * from {{ ref('int_sessions') }}

),

checkout_events as (

    select * from {{ ref('int_checkout_events') }}
    where checkout_token is not null or customer_id is not null

),

seen as (

    select
        shop,
        'client' as identifier_kind,
        client_id as identifier,
        min(started_at) as first_seen_at,
        max(ended_at) as last_seen_at
    from sessions
    where {{ is_of_this_run('client_id', 'identifier', 'rebuilt') }}
    group by shop, client_id

    {% for kind, column in {'customer': 'customer_id', 'token': 'checkout_token'}.items() %}
        union all

        select
            shop,
            '{{ kind }}' as identifier_kind,
            {{ column }} as identifier,
            min(event_at) as first_seen_at,
            max(event_at) as last_seen_at
        from checkout_events
        where {{ column }} is not null and {{ is_of_this_run(column, 'identifier', 'rebuilt') }}
        group by shop, {{ column }}
    {% endfor %}

),

keyed as (

    select
        {{ surrogate_key(['shop', 'identifier_kind', 'identifier']) }} as identifier_key,
        *
    from seen

)

select
    keyed.*,
    concat_ws('|', keyed.shop, keyed.identifier_kind, keyed.identifier) as node
from keyed
{% if not first_build() %}
    inner join (select distinct identifier_key from rebuilt) as keys on keyed.identifier_key = keys.identifier_key
{% endif %}
