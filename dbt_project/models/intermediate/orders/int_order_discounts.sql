{#-
    The discounts of every checkout_completed event. int_orders_deduplicated decides which event is the order. Codes are in
    upper case, because Shopify ignores their case.
-#}

{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    incremental_predicates=[rows_of_this_run('event_key', 'int_events_changed_this_run')],
) }}

{% set allocation_fields = {
    'amount': '$.amount.amount',
    'type': '$.discountApplication.type',
    'title': '$.discountApplication.title',
    'target_type': '$.discountApplication.targetType',
} %}
{% set application_fields = {'type': '$.type', 'title': '$.title', 'target_type': '$.targetType'} %}

with

changed as (

    select * from {{ ref('int_events_changed_this_run') }}

),

order_amounts as (

    select * from {{ ref('int_order_amounts') }}

),

completed as (

    select
        event_key,
        {{ json_array('discount_applications', '$') }} as applications,
        case when lines like '%"discountApplication"%' then {{ json_array('lines', '$') }} end as line_items
    from {{ ref('int_checkout_events') }}
    where
        event_name = 'checkout_completed'
        and {{ is_of_this_run('event_key', 'event_key', 'changed') }}

),

lines as (

    {{ numbered_elements('completed', 'line_items', ['event_key']) }}

),

allocations as (

    {{ numbered_elements(
        '(select event_key, ' ~ json_array('element', '$.discountAllocations') ~ ' as allocations from lines) as lines',
        'allocations',
        ['event_key']
    ) }}

),

applications as (

    {{ numbered_elements('completed', 'applications', ['event_key']) }}

),

extracted as (

    select
        event_key,
        {{ json_texts('element', allocation_fields.values() | list) }} as texts
    from allocations

),

allocated as (

    select
        event_key,
        {{ json_columns('texts', allocation_fields) }}
    from extracted

),

applied as (

    select
        event_key,
        {{ json_columns('texts', application_fields) }}
    from (
        select
            event_key,
            {{ json_texts('element', application_fields.values() | list) }} as texts
        from applications
    ) as extracted_applications

),

found as (

    select
        event_key,
        type,
        title,
        target_type,
        {{ money('amount') }} as amount
    from allocated

    union all

    select
        event_key,
        type,
        title,
        target_type,
        null as amount
    from applied

),

named as (

    select
        event_key,
        case upper(type)
            when 'DISCOUNT_CODE' then 'code'
            when 'AUTOMATIC' then 'automatic'
            when 'SCRIPT' then 'script'
            when 'MANUAL' then 'manual'
            else 'unknown'
        end as discount_kind,
        coalesce(
            case when upper(type) = 'DISCOUNT_CODE' then upper({{ label('title') }}) else {{ label('title') }} end,
            'unknown'
        ) as discount,
        upper(coalesce(target_type, 'LINE_ITEM')) = 'SHIPPING_LINE' as is_of_shipping,
        amount
    from found

),

grouped as (

    select
        event_key,
        discount_kind,
        discount,
        max(case when is_of_shipping then 0 else 1 end) = 1 as is_of_lines,
        max(case when is_of_shipping then 1 else 0 end) = 1 as is_of_shipping,
        sum(amount) filter (where not is_of_shipping) as amount
    from named
    group by event_key, discount_kind, discount

),

counted as (

    select
        *,
        count(case when is_of_lines then 1 end) over (partition by event_key) as discounts_of_lines,
        count(case when is_of_shipping then 1 end) over (partition by event_key) as discounts_of_shipping
    from grouped

)

-- Without allocations, an order's only discount accounts for all of it; with several, their shares are unknown.
select
    counted.event_key,
    order_amounts.shop,
    counted.discount_kind,
    counted.discount,
    {{ money("""
        case
            when not counted.is_of_lines then 0
            when counted.amount is not null then counted.amount
            when counted.discounts_of_lines = 1 then order_amounts.discount_amount
        end
    """) }} as discount_amount,
    case
        when not counted.is_of_shipping then 0
        when counted.discounts_of_shipping = 1 then order_amounts.shipping_discount_amount
    end as shipping_discount_amount
from counted
inner join order_amounts on counted.event_key = order_amounts.event_key
