{% set fields = {
    'title': '$.title',
    'handle': '$.handle',
    'sort_order': '$.sortOrder',
    'updated_at': '$.updatedAt',
    'deleted_at': '$.deletedAt',
} %}

with

answers as (

    select
        shop,
        {{ shopify_id('id') }} as collection_id,
        cast(fetched_at as timestamp) as fetched_at,
        {{ json_texts('node', fields.values() | list) }} as texts
    from {{ source('shopify', 'collections') }}
    where {{ is_built('shop') }}

),

named as (

    select
        shop,
        collection_id,
        fetched_at,
        {{ json_columns('texts', fields) }}
    from answers

),

-- The last answer about a deleted collection has only the time; keep its previous attributes.
answered as (

    select
        shop,
        collection_id,
        max(fetched_at) as fetched_at,
        max_by(title, fetched_at) filter (where title is not null) as title,
        max_by(handle, fetched_at) filter (where handle is not null) as handle,
        max_by(sort_order, fetched_at) filter (where sort_order is not null) as sort_order,
        max_by(updated_at, fetched_at) filter (where updated_at is not null) as updated_at,
        max(case when deleted_at is not null then fetched_at end) as deletion_fetched_at,
        max_by(deleted_at, fetched_at) filter (where deleted_at is not null) as deleted_at
    from named
    where collection_id is not null
    group by shop, collection_id

)

select
    {{ surrogate_key(['shop', 'collection_id']) }} as collection_key,
    shop,
    collection_id,
    title,
    handle,
    sort_order,
    coalesce(deletion_fetched_at = fetched_at, false) as is_deleted,
    case when deletion_fetched_at = fetched_at then {{ utc_timestamp('deleted_at') }} end as deleted_at,
    {{ utc_timestamp('updated_at') }} as updated_at,
    fetched_at
from answered
