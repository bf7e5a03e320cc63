{#-
    The line totals of every checkout_completed event, which show how to read the line amounts. Shopify's final line price
    is after line discounts and before order discounts. Other senders' is after both; older pixels send none. The
    interpretation that sums to the subtotal is used.
-#}

{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    incremental_predicates=[rows_of_this_run('event_key', 'int_events_changed_this_run')],
) }}

{#- In order of preference, if several sum to the subtotal. -#}
{% set readings = {
    'as_sent': 'amount_as_sent',
    'less_order_discounts': 'amount_less_order_discounts',
    'less_unclear_discounts': 'amount_less_unclear_discounts',
    'less_all_discounts': 'amount_less_all_discounts',
    'before_discounts': 'amount_before_discounts',
} %}

with

changed as (

    select * from {{ ref('int_events_changed_this_run') }}

),

lines as (

    select * from {{ ref('int_order_lines_this_run') }}

),

completed as (

    select
        *,
        {{ json_array('discount_applications', '$') }} as applications,
        {{ json_array('delivery_options', '$') }} as deliveries
    from {{ ref('int_checkout_events') }}
    where
        event_name = 'checkout_completed'
        and {{ is_of_this_run('event_key', 'event_key', 'changed') }}

),

applications as (

    {{ numbered_elements('completed', 'applications', ['event_key']) }}

),

deliveries as (

    {{ numbered_elements('completed', 'deliveries', ['event_key']) }}

),

targets as (

    select
        event_key,
        count(*) filter (where upper({{ json_text('element', '$.targetType') }}) = 'SHIPPING_LINE') as of_shipping,
        count(*) filter (where upper({{ json_text('element', '$.targetType') }}) = 'LINE_ITEM') as of_lines
    from applications
    group by event_key

),

shipping as (

    select
        event_key,
        sum({{ money(json_text('element', '$.cost.amount')) }}) as cost_amount,
        sum({{ money(json_text('element', '$.costAfterDiscounts.amount')) }}) as discounted_cost_amount
    from deliveries
    where
        {{ money(json_text('element', '$.cost.amount')) }} is not null
        and {{ money(json_text('element', '$.costAfterDiscounts.amount')) }} is not null
    group by event_key

),

sums as (

    select
        event_key,
        count(*) as line_items,
        sum(quantity) as units,
        max(case when names_discounts then 1 else 0 end) = 1 as names_discounts,
        {% for amount in readings.values() %}
            sum({{ amount }}) as {{ amount }},
        {% endfor %}
        sum(discount_amount) as discount_amount
    from lines
    group by event_key

),

gathered as (

    select
        completed.event_key,
        completed.shop,
        completed.subtotal_amount is null as is_subtotal_missing,
        coalesce(
            completed.subtotal_amount,
            cast(completed.total_amount as decimal(28, 4))
            - coalesce(completed.shipping_amount, 0) - coalesce(completed.tax_amount, 0)
        ) as subtotal_amount,
        completed.discount_amount as all_discounts_amount,
        coalesce(completed.lines_complete, true)
        and coalesce(completed.line_count, 0) <= coalesce(sums.line_items, 0)
        and (coalesce(sums.line_items, 0) > 0 or coalesce(completed.subtotal_amount, 0) <= 0) as lines_complete,
        greatest(coalesce(sums.line_items, 0), coalesce(completed.line_count, 0)) as line_items,
        coalesce(sums.units, 0) as units,
        coalesce(sums.names_discounts, false) as names_discounts,
        coalesce(sums.discount_amount, 0) as discount_amount,
        {% for amount in readings.values() %}
            coalesce(sums.{{ amount }}, 0) as {{ amount }},
        {% endfor %}
        coalesce(sums.line_items, 0) * {{ smallest_unit('completed.currency') }} as rounding_amount,
        coalesce(targets.of_shipping, 0) as applications_of_shipping,
        coalesce(targets.of_lines, 0) as applications_of_lines,
        completed.discount_applications is not null or shipping.event_key is not null as names_shipping_discounts,
        shipping.cost_amount - shipping.discounted_cost_amount as delivery_discount_amount
    from completed
    left join sums on completed.event_key = sums.event_key
    left join targets on completed.event_key = targets.event_key
    left join shipping on completed.event_key = shipping.event_key

),

-- An exact match first, then a match within the rounding of each line.
read as (

    select
        *,
        case
            {% for tolerance in ['0', 'rounding_amount'] %}
                {% for basis, amount in readings.items() %}
                    when lines_complete and abs({{ amount }} - subtotal_amount) <= {{ tolerance }} then '{{ basis }}'
                {% endfor %}
            {% endfor %}
            when not lines_complete or is_subtotal_missing then 'not_verified'
            else 'differs_from_subtotal'
        end as amount_basis
    from gathered

),

-- The checkout's total discount includes shipping discounts.
with_shipping_discount as (

    select
        *,
        case
            when delivery_discount_amount > 0 then delivery_discount_amount
            when applications_of_shipping > 0 and lines_complete and all_discounts_amount is not null
                then greatest(cast(all_discounts_amount as decimal(28, 4)) - discount_amount, 0)
            when applications_of_shipping > 0 and applications_of_lines = 0 then all_discounts_amount
            when names_shipping_discounts and applications_of_shipping = 0 then 0
        end as shipping_discount_amount
    from read

)

select
    event_key,
    shop,
    cast(line_items as bigint) as line_items,
    cast(units as bigint) as units,
    lines_complete,
    amount_basis,
    {{ money("""
        case
            when lines_complete and discount_amount <> 0 then discount_amount
            when all_discounts_amount is not null
                then greatest(
                    cast(all_discounts_amount as decimal(28, 4)) - coalesce(shipping_discount_amount, 0),
                    discount_amount
                )
            when names_discounts then discount_amount
        end
    """) }} as discount_amount,
    {{ money('shipping_discount_amount') }} as shipping_discount_amount
from with_shipping_discount
