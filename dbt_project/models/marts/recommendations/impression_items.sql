{#- Lists are read up to max_list_items; a product that a list repeats counts at its first position. -#}

{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    unique_key='impression_key',
    incremental_predicates=[rows_of_this_run('impression_key', 'int_events_changed_this_run', 'event_key')],
) }}
-- depends_on: {{ ref('int_events_changed_this_run') }}

with

lists as (

    select
        event_key,
        shop,
        {{ json_array('recommendation_data', '$.product_ids') }} as product_ids,
        {{ json_array('recommendation_data', '$.strategies') }} as strategies
    from {{ events_rebuilt_this_run() }}
    where event_name = 'pixelnova:recommendation_viewed' and coalesce(is_analytics_allowed, true)

),

items as (

    {{ numbered_elements('lists', 'product_ids', ['event_key', 'shop', 'strategies']) }}

),

named as (

    select
        event_key,
        shop,
        element_number,
        {{ json_text('element', '$') }} as stated_product,
        {{ json_text(nth_element('strategies', 'element_number'), '$') }} as stated_strategy
    from items
    where element_number <= {{ var('max_list_items') }}

),

typed as (

    select
        event_key,
        shop,
        element_number,
        {{ shopify_id('stated_product') }} as product_id,
        coalesce({{ label('stated_strategy') }}, 'unknown') as strategy
    from named

)

select
    event_key as impression_key,
    min(shop) as shop,
    product_id,
    min(element_number) as position,
    {{ earliest('strategy', ['element_number']) }} as strategy
from typed
where product_id is not null
group by event_key, product_id
