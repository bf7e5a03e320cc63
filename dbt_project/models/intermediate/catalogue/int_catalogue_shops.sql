{#-
    Shops with a catalogue, from the source read last: the Admin API or catalogue files. Products missing from a complete
    reading are no longer sold. A partially failed load does not count as a catalogue.
-#}

with

readings as (

    select
        shop,
        'admin_api' as source,
        cast(began_at as timestamp) as read_at,
        true as is_complete
    from {{ source('shopify', 'fetches') }}
    where subject = 'products' and error is null

    union all

    select
        shop,
        'catalogue_file' as source,
        read_at,
        is_complete
    from {{ ref('stg_catalogue__readings') }}
    where error is null

),

ranked as (

    select
        *,
        row_number() over (partition by shop order by read_at desc, source) as age_rank,
        row_number() over (partition by shop, is_complete order by read_at desc, source) as completeness_age_rank
    from readings

)

select
    shop,
    max(case when age_rank = 1 then source end) as source,
    max(case when age_rank = 1 then read_at end) as read_at,
    max(case when is_complete and completeness_age_rank = 1 then source end) as complete_source,
    max(case when is_complete and completeness_age_rank = 1 then read_at end) as complete_read_at
from ranked
group by shop
