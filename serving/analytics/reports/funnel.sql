-- title: Funnel
-- description: Sessions that reached each step. Closed: in sequence, each step after the one before. Open: in any order. Many real purchases show no cart event, so the two differ.
-- filters: channel, device
-- step: Step
-- sessions_closed: Sessions, closed | count
-- share_closed: Share of sessions, closed | share
-- sessions_open: Sessions, open | count
-- share_open: Share of sessions, open | share

with

totals as (

    select
        coalesce(sum(sessions), 0) as sessions,
        coalesce(sum(viewed), 0) as viewed,
        coalesce(sum(carted_closed), 0) as carted_closed,
        coalesce(sum(checked_out_closed), 0) as checked_out_closed,
        coalesce(sum(purchased_closed), 0) as purchased_closed,
        coalesce(sum(carted_open), 0) as carted_open,
        coalesce(sum(checked_out_open), 0) as checked_out_open,
        coalesce(sum(purchased_open), 0) as purchased_open
    from analytics.funnel_daily
    where
        shop = $shop
        and local_date between $first and $last
        and ($channel is null or channel = $channel)
        and ($device is null or device = $device)

),

steps as (

    select 1 as step_number, 'session' as step, sessions as sessions_closed, sessions as sessions_open from totals
    union all
    select 2, 'product viewed', viewed, viewed from totals
    union all
    select 3, 'added to cart', carted_closed, carted_open from totals
    union all
    select 4, 'checkout started', checked_out_closed, checked_out_open from totals
    union all
    select 5, 'purchased', purchased_closed, purchased_open from totals

)

select
    steps.step,
    cast(steps.sessions_closed as bigint) as sessions_closed,
    cast(steps.sessions_closed as double) / nullif(totals.sessions, 0) as share_closed,
    cast(steps.sessions_open as bigint) as sessions_open,
    cast(steps.sessions_open as double) / nullif(totals.sessions, 0) as share_open
from steps
cross join totals
order by steps.step_number
