{#-
    The dates, of all shops, on which events of rebuilt sessions may lie. Reading no others is what keeps a run's cost from
    growing with history: a session is found by its client, a day by where it lies in the table.
-#}

-- A day more on either side: where a clock is set back at midnight, yesterday comes again.
with

changed as (

    select distinct
        events.shop,
        {{ local_date("events.from_at - interval '1' day", "coalesce(shops.timezone, 'UTC')") }} as from_date,
        {{ local_date("events.to_at + interval '1' day", "coalesce(shops.timezone, 'UTC')") }} as to_date
    from {{ ref('int_events_changed_this_run') }} as events
    left join {{ ref('stg_shops__shops') }} as shops on events.shop = shops.shop

),

spans as (

    select
        shop,
        {{ dates_between('from_date', 'to_date') }} as dates
    from changed

),

exploded as (

    {{ numbered_elements('spans', 'dates', ['shop']) }}

)

select distinct element as local_date
from exploded
