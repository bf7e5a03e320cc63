{#-
    The dates, across all shops, that may have events of rebuilt sessions. Reading only these keeps the cost of a run
    independent of history: filters by client scan the table, filters by date prune it.
-#}

-- One more day on either side: a clock set back at midnight returns to the previous date.
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
