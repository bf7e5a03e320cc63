{#-
    The products of lists, and whether each was clicked, without bots and test orders. A clicked product counts as seen
    even if the view of its list never arrived. Shopify's own lists report only clicks.
-#}

{{ config(materialized='view') }}

with

impressions as (

    select
        *,
        coalesce(request_id, impression_key) as list_id
    from {{ ref('impressions') }}
    where not is_bot and not is_test

),

items as (

    select * from {{ ref('impression_items') }}

),

clicks as (

    select
        *,
        coalesce(request_id, click_key) as list_id
    from {{ ref('clicks') }}
    where not is_bot and not is_test and not is_repeated

),

products_clicked as (

    select distinct
        shop,
        list_id,
        product_id
    from clicks
    where source = 'pixelnova'

),

seen as (

    select
        impressions.shop,
        'pixelnova' as source,
        impressions.list_id,
        impressions.session_id,
        impressions.local_date,
        impressions.placement,
        items.strategy,
        items.position,
        items.product_id,
        products_clicked.list_id is not null as is_clicked
    from impressions
    inner join items on impressions.impression_key = items.impression_key
    left join products_clicked
        on
            impressions.shop = products_clicked.shop
            and impressions.list_id = products_clicked.list_id
            and items.product_id = products_clicked.product_id

),

only_clicked as (

    select clicks.*
    from clicks
    left join impressions
        on
            clicks.shop = impressions.shop
            and clicks.list_id = impressions.list_id
            and clicks.source = 'pixelnova'
    left join items
        on impressions.impression_key = items.impression_key and clicks.product_id = items.product_id
    where items.impression_key is null

)

select
    shop,
    source,
    list_id,
    session_id,
    local_date,
    placement,
    strategy,
    position,
    product_id,
    is_clicked
from seen

union all

select
    shop,
    source,
    list_id,
    session_id,
    local_date,
    placement,
    strategy,
    position,
    product_id,
    true as is_clicked
from only_clicked
