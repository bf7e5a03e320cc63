with

funnel as (

    select sum(sessions) as sessions from {{ ref('funnel_daily') }}

),

sessions as (

    select count(*) as sessions
    from {{ ref('sessions') }}
    where not is_bot

)

select
    funnel.sessions as funnel_sessions,
    sessions.sessions
from funnel
cross join sessions
where coalesce(funnel.sessions, 0) <> sessions.sessions
