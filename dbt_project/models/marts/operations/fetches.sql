with

fetches as (

    select
        'shopify' as source,
        shop,
        subject,
        cast(began_at as timestamp) as began_at,
        cast(ended_at as timestamp) as ended_at,
        rows as rows_fetched,
        error
    from {{ source('shopify', 'fetches') }}

    union all

    select
        'catalogue' as source,
        shop,
        file as subject,
        cast(fetched_at as timestamp) as began_at,
        cast(fetched_at as timestamp) as ended_at,
        rows as rows_fetched,
        error
    from {{ source('catalogue', 'readings') }}

)

select
    {{ surrogate_key(['shop', 'source', 'subject', 'began_at']) }} as fetch_key,
    shop,
    source,
    subject,
    began_at,
    ended_at,
    rows_fetched,
    error
from fetches
