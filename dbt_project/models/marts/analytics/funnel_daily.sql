{{ config(
    materialized='incremental',
    incremental_strategy='replace_touched',
    incremental_predicates=[
        "(shop, session_date) in (select days.shop, days.touched_date from intermediate.int_touched_days as days)"
    ],
) }}

select
    shop,
    session_date,
    channel,
    device,
    count(*) as sessions,
    count(viewed_at) as viewed,
    count(carted_closed_at) as carted_closed,
    count(checked_out_closed_at) as checked_out_closed,
    count(purchased_closed_at) as purchased_closed,
    count(carted_open_at) as carted_open,
    count(checked_out_open_at) as checked_out_open,
    count(purchased_open_at) as purchased_open
from {{ ref('int_sessions') }}
where not is_bot and {{ in_touched_days('shop', 'session_date') }}
group by shop, session_date, channel, device
