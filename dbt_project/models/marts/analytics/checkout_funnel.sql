{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    incremental_predicates=[days_of_this_run()],
) }}

{% set steps = ['started', 'contact', 'address', 'shipping', 'payment', 'completed'] %}

with

checkouts as (

    select
        checkouts.shop,
        checkouts.local_date,
        coalesce(checkouts.currency, 'unknown') as currency,
        checkouts.furthest_step,
        checkouts.total_amount
    from {{ ref('int_checkouts') }} as checkouts
    left join {{ ref('int_sessions') }} as sessions on checkouts.session_id = sessions.session_id
    where not coalesce(sessions.is_bot, false) and {{ is_day_of_this_run('checkouts.shop', 'checkouts.local_date') }}

),

-- Reaching a step counts for all earlier steps, including those that an express checkout skips.
steps as (

    {% for step in steps %}
        select
            shop,
            local_date,
            currency,
            {{ loop.index }} as step_number,
            '{{ step }}' as step,
            count(*) filter (where furthest_step >= {{ loop.index }}) as checkouts,
            count(*) filter (where furthest_step = {{ loop.index }}) as ended_here,
            sum(total_amount) filter (where furthest_step = {{ loop.index }}) as amount
        from checkouts
        group by shop, local_date, currency
        {{ "union all" if not loop.last }}
    {% endfor %}

),

computed as (

    select
        {{ surrogate_key(['shop', 'local_date', 'currency', 'step']) }} as checkout_funnel_key,
        shop,
        local_date,
        currency,
        cast(step_number as bigint) as step_number,
        step,
        checkouts,
        case when step = 'completed' then 0 else ended_here end as abandoned,
        {{ total("case when step = 'completed' then 0 else coalesce(amount, 0) end") }} as value_at_risk
    from steps

)

{{ with_kept_days('computed') }}
