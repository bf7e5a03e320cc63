with

sessions as (

    select * from {{ ref('sessions') }}

),

funnel as (

    select * from {{ ref('int_session_funnel') }}

)

select
    sessions.shop,
    sessions.session_date,
    sessions.channel,
    sessions.device,
    count(*) as sessions,
    count(funnel.viewed_at) as viewed,
    count(funnel.carted_closed_at) as carted_closed,
    count(funnel.checked_out_closed_at) as checked_out_closed,
    count(funnel.purchased_closed_at) as purchased_closed,
    count(funnel.carted_open_at) as carted_open,
    count(funnel.checked_out_open_at) as checked_out_open,
    count(funnel.purchased_open_at) as purchased_open
from sessions
inner join funnel on sessions.session_id = funnel.session_id
where not sessions.is_bot
group by sessions.shop, sessions.session_date, sessions.channel, sessions.device
