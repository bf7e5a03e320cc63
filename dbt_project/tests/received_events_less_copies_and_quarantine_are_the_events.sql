-- No event is lost. This rereads every payload, so it runs only in `make test` or on request.
{{ config(tags=['thorough']) }}

with

received as (

    select
        shop,
        count(*) filter (where rejection_reason is not null) as rejected,
        count(distinct case when rejection_reason is null then event_id end) as usable
    from {{ ref('stg_pixel__events') }}
    group by shop

),

used as (

    select
        shop,
        count(*) as events
    from {{ ref('int_events') }}
    group by shop

),

quarantined as (

    select
        shop,
        count(*) as events
    from {{ ref('int_events_rejected') }}
    group by shop

)

select
    received.shop,
    received.usable,
    used.events as used,
    received.rejected,
    quarantined.events as quarantined
from received
left join used on received.shop = used.shop
left join quarantined on received.shop = quarantined.shop
where
    received.usable <> coalesce(used.events, 0)
    or received.rejected <> coalesce(quarantined.events, 0)
