-- title: Most common journeys
-- description: Sequences of steps within a session, repeated steps collapsed, in the shortest window of 7, 30 or 90 days that is at least as long as the period (90 days for a longer one), ending today.
-- filters:
-- path: Path
-- sessions: Sessions | count
-- converted_sessions: Converted | count
-- conversion_rate: Conversion rate | share
-- window_days: Window, days | count

with

paths as (

    select * from analytics.paths
    where shop = $shop

),

windows as (

    select coalesce(
        (select min(window_days) from paths where window_days >= $days),
        (select max(window_days) from paths)
    ) as window_days

)

select
    paths.path,
    paths.sessions,
    paths.converted_sessions,
    paths.conversion_rate,
    paths.window_days
from paths
inner join windows on paths.window_days = windows.window_days
order by paths.path_rank
