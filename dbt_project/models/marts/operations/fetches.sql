with

-- A load that was killed after its commit is loaded again, so rows may be duplicated.
admin_api_once as (

    select distinct
        shop,
        subject,
        began_at,
        ended_at,
        rows,
        error
    from {{ source('shopify', 'fetches') }}
    where {{ is_built('shop') }}

),

-- A run fetches deletions first.
admin_api as (

    select
        *,
        began_at >= max(case when subject = 'deletions' then began_at end) over (partition by shop) as is_newest
    from admin_api_once

),

catalogue_files as (

    select
        *,
        row_number() over (partition by shop order by fetched_at desc) = 1 as is_newest
    from {{ ref('stg_catalogue__readings') }}

),

fetches as (

    select
        'shopify' as source,
        shop,
        subject,
        cast(began_at as timestamp) as began_at,
        cast(ended_at as timestamp) as ended_at,
        rows as rows_fetched,
        cast(null as {{ dbt.type_string() }}) as warning,
        error,
        coalesce(is_newest, false) as is_newest
    from admin_api

    union all

    select
        'catalogue' as source,
        shop,
        file as subject,
        read_at as began_at,
        read_at as ended_at,
        rows_read as rows_fetched,
        warning,
        error,
        is_newest
    from catalogue_files

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
    error,
    is_newest
from fetches
