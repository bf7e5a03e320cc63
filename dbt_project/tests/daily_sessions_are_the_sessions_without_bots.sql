with

sessions as (

    select
        shop,
        count(*) filter (where not is_bot) as sessions,
        count(*) filter (where not is_bot and is_new_visitor) as new_visitors,
        sum(events) as events
    from {{ ref('sessions') }}
    group by shop

),

events as (

    select
        shop,
        count(*) as events
    from {{ ref('int_events') }}
    where client_id is not null and {{ is_shopping('event_name', 'page_url', 'page_path') }}
    group by shop

),

days as (

    select
        shop,
        sum(sessions) as sessions,
        sum(new_visitors) as new_visitors
    from {{ ref('daily_shop') }}
    group by shop

),

funnel as (

    select
        shop,
        sum(sessions) as sessions
    from {{ ref('funnel_daily') }}
    group by shop

)

select events.shop
from events
left join sessions on events.shop = sessions.shop
left join days on events.shop = days.shop
left join funnel on events.shop = funnel.shop
where
    {{ counts_all_days('events.shop') }}
    and (
        events.events <> coalesce(sessions.events, 0)
        or coalesce(sessions.sessions, 0) <> coalesce(days.sessions, 0)
        or coalesce(sessions.new_visitors, 0) <> coalesce(days.new_visitors, 0)
        or coalesce(sessions.sessions, 0) <> coalesce(funnel.sessions, 0)
    )
