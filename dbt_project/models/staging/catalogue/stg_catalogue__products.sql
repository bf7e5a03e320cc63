-- Absence from a partial reading does not mean that a product is deleted.
with

complete_readings as (

    select
        shop,
        max(fetched_at) as fetched_at
    from {{ ref('stg_catalogue__readings') }}
    where is_complete and error is null
    group by shop

),

named as (

    select
        *,
        {{ handle_name('handle') }} as handle_as_named
    from {{ source('catalogue', 'products') }}
    where {{ is_built('shop') }}

),

readings as (

    select
        *,
        row_number() over (
            partition by shop, handle_as_named
            order by fetched_at desc, handle = handle_as_named desc, handle
        ) as age_rank
    from named

)

select
    readings.shop,
    readings.handle_as_named as handle,
    readings.handle as handle_in_file,
    readings.product_id,
    readings.title,
    readings.description_html,
    readings.vendor,
    readings.product_type,
    readings.tags,
    readings.status,
    readings.is_gift_card,
    coalesce(readings.is_published, true)
    and readings.fetched_at >= coalesce(complete_readings.fetched_at, readings.fetched_at) as is_published,
    readings.fetched_at < coalesce(complete_readings.fetched_at, readings.fetched_at) as is_deleted,
    readings.image_url,
    cast(readings.created_at as timestamp) as created_at,
    cast(readings.updated_at as timestamp) as updated_at,
    readings.fetched_at,
    cast(readings.fetched_at as timestamp) as read_at
from readings
left join complete_readings on readings.shop = complete_readings.shop
where readings.age_rank = 1
