{#-
    Shops whose catalogue is known as a whole, and by whom: the Admin API or a catalogue file, whichever was read last.
    Products that it does not name are no longer sold. A load that failed half-way makes no catalogue.
-#}

with

readings as (

    select
        shop,
        'admin_api' as source,
        cast(began_at as timestamp) as read_at
    from {{ source('shopify', 'fetches') }}
    where subject = 'products' and error is null

    union all

    select
        shop,
        'catalogue_file' as source,
        cast(fetched_at as timestamp) as read_at
    from {{ source('catalogue', 'readings') }}
    where error is null

),

newest as (

    select
        *,
        row_number() over (partition by shop order by read_at desc, source) as age
    from readings

)

select
    shop,
    source,
    read_at
from newest
where age = 1
