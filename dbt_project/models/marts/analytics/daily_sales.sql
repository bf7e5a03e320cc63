{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    incremental_predicates=[days_of_this_run()],
) }}

with

computed as (

    select
        {{ surrogate_key(['shop', 'local_date', "coalesce(currency, 'unknown')"]) }} as daily_sales_key,
        shop,
        local_date,
        coalesce(currency, 'unknown') as currency,
        count(*) as orders,
        count(*) filter (where is_repeat_order) as repeat_orders,
        cast(sum(units) as bigint) as units,
        {{ total('coalesce(sum(subtotal_amount), 0)') }} as subtotal_amount,
        {{ total('coalesce(sum(discount_amount), 0)') }} as discount_amount,
        {{ total('coalesce(sum(shipping_amount), 0)') }} as shipping_amount,
        {{ total('coalesce(sum(tax_amount), 0)') }} as tax_amount,
        {{ total('coalesce(sum(gross_total_amount), 0)') }} as gross_total_amount,
        cast(sum(gross_total_amount) as double) / nullif(count(gross_total_amount), 0) as average_order_value
    from {{ ref('orders') }}
    where not is_test and {{ is_day_of_this_run('shop', 'local_date') }}
    group by shop, local_date, coalesce(currency, 'unknown')

)

{{ with_kept_days('computed') }}
