{#-
    Every copy of an event in the landing files of this run, typed. Emptied at the end of the run, because int_events keeps
    the copies that count. The files are literals in the query because filters, unlike joins, are pushed down below JSON
    parsing.
-#}

{{ config(tags='work_set') }}

with

events as (

    select * from {{ ref('stg_pixel__events') }}
    where landing_file in ({{ pending_landing_files(ref('int_landing_files_this_run')) }})

),

shops as (

    select * from {{ ref('stg_shops__shops') }}

)

select
    events.*,
    {{ local_date('events.event_at', "coalesce(shops.timezone, 'UTC')") }} as local_date
from events
left join shops on events.shop = shops.shop
