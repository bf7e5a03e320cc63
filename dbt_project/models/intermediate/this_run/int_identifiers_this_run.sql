{#-
    Work set. The identifiers of changed events and everything connected to them: their journeys are rebuilt. It
    accumulates until a run completes, like int_events_changed_this_run, because this run changes the map that it reads.
-#}

{{ config(materialized='incremental', incremental_strategy='append', tags='work_set') }}

with

changed as (

    select * from {{ ref('int_events_changed_this_run') }}

),

named as (

    {{ identifiers_of('changed') }}

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
