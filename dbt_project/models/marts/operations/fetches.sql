with

fetches as (

    select
        'shopify' as source,
        shop,
        subject,
        cast(began_at as timestamp) as began_at,
        cast(ended_at as timestamp) as ended_at,
        rows as rows_fetched,
        cast(null as {{ dbt.type_string() }}) as warning,
        error
    from {{ source('shopify', 'fetches') }}

    union all

    select
        'catalogue' as source,
        shop,
        file as subject,
        read_at as began_at,
        read_at as ended_at,
        rows_read as rows_fetched,
        warning,
        error
    from {{ ref('stg_catalogue__readings') }}

)

select
    {{ surrogate_key(['shop', 'source', 'subject', 'began_at']) }} as fetch_key,
    shop,
    source,
    subject,
    began_at,
    ended_at,
    rows_fetched,
    warning,
    error
from fetches
