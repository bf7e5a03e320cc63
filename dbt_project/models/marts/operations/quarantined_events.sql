with

rejected as (

    select
        shop,
        received_at,
        landing_file,
        event_id,
        event_name,
        reason,
        content
    from {{ ref('int_events_rejected') }}

),

unreadable as (

    select
        shop,
        cast(received_at as timestamp) as received_at,
        landing_file,
        cast(null as {{ dbt.type_string() }}) as event_id,
        cast(null as {{ dbt.type_string() }}) as event_name,
        case when shop is null then concat_ws('', 'the line is not an envelope: ', reason) else reason end as reason,
        line as content
    from {{ source('pixel', 'unreadable_lines') }}
    where shop is null or {{ is_built('shop') }}

),

quarantined as (

    select * from rejected
    union all
    select * from unreadable

),

-- Duplicates are quarantined once.
deduplicated as (

    select distinct
        md5(concat_ws('|', shop, reason, content)) as quarantine_key,
        shop,
        min(received_at) over (partition by shop, reason, content) as received_at,
        min(landing_file) over (partition by shop, reason, content) as landing_file,
        event_id,
        event_name,
        reason,
        content
    from quarantined

),

shops as (

    select * from {{ ref('shops') }}

)

select
    deduplicated.quarantine_key,
    deduplicated.shop,
    deduplicated.received_at,
    {{ local_date('deduplicated.received_at', "coalesce(shops.timezone, 'UTC')") }} as local_date,
    deduplicated.landing_file,
    deduplicated.event_id,
    deduplicated.event_name,
    deduplicated.reason,
    deduplicated.content
from deduplicated
left join shops on deduplicated.shop = shops.shop
