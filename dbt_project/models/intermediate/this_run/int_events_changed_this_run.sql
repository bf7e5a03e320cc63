{#-
    Work set. Events that are new, or superseded by another copy, with the time span of their client in which sessions must
    be re-split: the event and the stored sessions within 30 minutes of it. It accumulates until a run completes, so the
    run after a crash knows what the crashed run had started.
-#}

{{ config(materialized='incremental', incremental_strategy='append', tags='work_set') }}

{% set gap = "interval '" ~ var('session_gap_minutes') ~ "' minute" %}
{% set columns = ['event_key', 'shop', 'client_id', 'checkout_token', 'customer_id', 'event_at', 'local_date'] %}

with

changed as (

    select {{ columns | join(', ') }}
    from {{ ref('int_events_accepted_this_run') }}

    union all

    select {{ columns | join(', ') }}
    from {{ ref('int_event_copies_this_run') }}
    where is_stored and copy_rank > 1

)

{% if first_build() %}

    select
        *,
        event_at as from_at,
        event_at as to_at
    from changed
    where false

{% else %}

    select
        {% for column in columns %}
            changed.{{ column }},
        {% endfor %}
        least(changed.event_at, min(sessions.started_at)) as from_at,
        greatest(changed.event_at, max(sessions.ended_at)) as to_at
    from changed
    left join {{ stored('int_sessions') }} as sessions
        on
            changed.shop = sessions.shop
            and changed.client_id = sessions.client_id
            and changed.event_at >= sessions.started_at - {{ gap }}
            and changed.event_at <= sessions.ended_at + {{ gap }}
    group by {% for column in columns %}changed.{{ column }}{{ ", " if not loop.last }}{% endfor %}

{% endif %}
