-- title: Retention by week
-- description: New visitors of each week who returned in later weeks.
-- filters:
-- cohort_week: First week
-- weeks_since: Weeks since | count
-- members: Visitors | count
-- active_members: Came back | count
-- retention_rate: Retention | share

select
    cohort_week,
    weeks_since,
    members,
    active_members,
    retention_rate
from analytics.retention
where shop = $shop
order by cohort_week, weeks_since
