with

windows as (

    select * from {{ ref('int_windows') }}

),

sessions as (

    select * from {{ ref('int_sessions') }}
    where not is_bot and path is not null

),

counted as (

    select
        windows.shop,
        windows.window_days,
        sessions.path,
        min(sessions.path_steps) as path_steps,
        count(*) as sessions,
        count(*) filter (where sessions.checkouts_completed > 0) as converted_sessions
    from windows
    inner join sessions
        on windows.shop = sessions.shop and sessions.local_date between windows.first_date and windows.last_date
    group by windows.shop, windows.window_days, sessions.path

),

ranked as (

    select
        *,
        row_number() over (partition by shop, window_days order by sessions desc, path) as path_rank
    from counted

)

select
    {{ surrogate_key(['shop', 'window_days', 'path']) }} as path_key,
    shop,
    cast(window_days as bigint) as window_days,
    path_rank,
    path,
    cast(path_steps as bigint) as steps,
    sessions,
    converted_sessions,
    cast(converted_sessions as double) / sessions as conversion_rate
from ranked
where path_rank <= {{ var('path_limit') }}
