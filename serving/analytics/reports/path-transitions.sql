-- title: Steps from page to page
-- description: Sessions that went from one step to the next, by step number, in the shortest window of 7, 30 or 90 days that is at least as long as the period (90 days for a longer one), ending today.
-- filters:
-- step_number: Step number | count
-- from_step: From
-- to_step: To
-- sessions: Sessions | count
-- window_days: Window, days | count

with

transitions as (

    select * from analytics.path_transitions
    where shop = $shop

),

windows as (

    select coalesce(
        (select min(window_days) from transitions where window_days >= $days),
        (select max(window_days) from transitions)
    ) as window_days

)

select
    transitions.step_number,
    transitions.from_step,
    transitions.to_step,
    transitions.sessions,
    transitions.window_days
from transitions
inner join windows on transitions.window_days = windows.window_days
order by transitions.step_number, transitions.sessions desc, transitions.from_step, transitions.to_step
