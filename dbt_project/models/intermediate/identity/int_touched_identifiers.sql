{#-
    Work set. The identifiers of touched events, and all that they were connected with: whose journeys are made anew. It
    is kept, like int_touched_events, until a run reaches its end, for the map that it is read from is about to change.
-#}

{{ config(materialized='incremental', incremental_strategy='append') }}

with

touched as (

    select * from {{ ref('int_touched_events') }}

),

named as (

    {{ identifiers_of('touched') }}

),

keyed as (

    select
        {{ surrogate_key(['shop', 'identifier_kind', 'identifier']) }} as identifier_key,
        shop,
        identifier_kind,
        identifier
    from named

)

select *
from keyed
{% if not first_build() %}
    union

    select
        connected.identifier_key,
        connected.shop,
        connected.identifier_kind,
        connected.identifier
    from keyed
    inner join {{ stored('identity_map', 'core') }} as known on keyed.identifier_key = known.identifier_key
    inner join {{ stored('identity_map', 'core') }} as connected on known.component_id = connected.component_id
{% endif %}
