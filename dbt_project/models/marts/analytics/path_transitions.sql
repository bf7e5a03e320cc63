with

windows as (

    select * from {{ ref('int_windows') }}

),

sessions as (

    select * from {{ ref('int_sessions') }}
    where not is_bot and path is not null

),

paths as (

    select
        windows.shop,
        windows.window_days,
        sessions.path,
        count(*) as sessions
    from windows
    inner join sessions
        on windows.shop = sessions.shop and sessions.local_date between windows.first_date and windows.last_date
    group by windows.shop, windows.window_days, sessions.path

),

split as (

    select
        shop,
        window_days,
        path,
        sessions,
        {{ split_text('path', ' > ') }} as steps
    from paths

),

steps as (

    {{ numbered_elements('split', 'steps', ['shop', 'window_days', 'path', 'sessions']) }}

),

moves as (

    select
        shop,
        window_days,
        sessions,
        element_number as step_number,
        element as from_step,
        coalesce(
            lead(element) over (partition by shop, window_days, path order by element_number), 'end'
        ) as to_step
    from steps

)

select
    {{ surrogate_key(['shop', 'window_days', 'step_number', 'from_step', 'to_step']) }} as transition_key,
    shop,
    cast(window_days as bigint) as window_days,
    cast(step_number as bigint) as step_number,
    from_step,
    to_step,
    cast(sum(sessions) as bigint) as sessions
from moves
group by shop, window_days, step_number, from_step, to_step
