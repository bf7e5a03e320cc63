{#- Flags for sessions that analysts exclude: bots, and sessions that ended in a test order. -#}

{{ config(materialized='view') }}

with

sessions as (

    select * from {{ ref('int_sessions') }}

),

test_sessions as (

    select distinct session_id
    from {{ ref('orders') }}
    where is_test and session_id is not null

)

select
    sessions.session_id,
    sessions.is_bot,
    test_sessions.session_id is not null as is_test
from sessions
left join test_sessions on sessions.session_id = test_sessions.session_id
