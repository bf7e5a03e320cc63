{#-
    Work set. The days of each shop, in its timezone, whose daily rows this run replaces: days of changed events, of
    sessions that were re-split or moved within a journey, and of changed orders and checkouts. It accumulates until a run
    completes; a first build computes all days and needs none.
-#}

{{ config(materialized='incremental', incremental_strategy='append', tags='work_set') }}

with

changed_events as (

    select * from {{ ref('int_events_changed_this_run') }}

),

rebuilt_events as (

    select * from {{ ref('int_events_rebuilt_this_run') }}

),

events as (

    select * from {{ ref('int_events') }}

),

visits as (

    select * from {{ ref('int_visits_this_run') }}

),

orders as (

    select * from {{ ref('int_orders') }}

),

checkouts as (

    select * from {{ ref('int_checkouts_this_run') }}

)

{% if first_build() %}

    select
        shop,
        local_date
    from events
    where false

{% else %}

    -- A session that was not stored is among the re-split ones.
    , moved_visits as (

        select visits.session_id
        from visits
        inner join {{ stored('int_visits') }} as former on visits.session_id = former.session_id
        where
            visits.journey_id <> former.journey_id
            or visits.is_new_visitor <> former.is_new_visitor
            or visits.last_non_direct_channel <> former.last_non_direct_channel

    ),

    former_orders as (

        select * from {{ stored('orders', 'core') }}

    ),

    changed_orders as (

        (select * from orders except select * from former_orders)
        union all
        (select * from former_orders except select * from orders)

    )

    select
        shop,
        local_date
    from changed_events

    union

    select
        shop,
        local_date
    from rebuilt_events

    union

    select
        shop,
        local_date
    from events
    where session_id in (select moved_visits.session_id from moved_visits)

    union

    select
        shop,
        local_date
    from changed_orders

    union

    select
        shop,
        local_date
    from checkouts

    union

    select
        shop,
        local_date
    from {{ stored('int_checkouts') }}
    where
        (shop, checkout_token) in (
            select
                changed_events.shop,
                changed_events.checkout_token
            from changed_events
        )
        or checkout_key in (select checkouts.checkout_key from checkouts)

{% endif %}
