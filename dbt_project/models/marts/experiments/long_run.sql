{#- What a shop's holdout and its other units did in each whole week since their first exposure. -#}

with

units as (

    select
        metrics.shop,
        metrics.experiment,
        metrics.phase,
        metrics.unit,
        metrics.variation,
        metrics.currency,
        cast(
            floor(
                cast(
                    {{ elapsed('second', 'metrics.first_exposed_at', 'coalesce(phases.ended_at, as_of.as_of)') }}
                    as double
                ) / 604800
            ) as integer
        ) as whole_weeks
    from {{ ref('unit_metrics') }} as metrics
    inner join {{ ref('stg_experiments__phases') }} as phases
        on
            metrics.shop = phases.shop
            and metrics.experiment = phases.experiment
            and metrics.phase = phases.phase
    inner join {{ ref('int_as_of') }} as as_of on metrics.shop = as_of.shop
    where phases.is_holdout

),

actions as (

    select * from {{ ref('int_experiment_actions') }}
    where is_holdout and not is_earlier and action in ('visit', 'order')

),

observed as (

    select
        shop,
        experiment,
        phase,
        variation,
        whole_weeks,
        min(currency) as currency,
        count(*) as units
    from units
    group by shop, experiment, phase, variation, whole_weeks

),

-- One date per week, to number the weeks without gaps.
spans as (

    select
        shop,
        experiment,
        phase,
        {{ dates_between(
            "date '2000-01-01'", dbt.dateadd('day', 'max(whole_weeks) - 1', "date '2000-01-01'")
        ) }} as dates
    from observed
    group by shop, experiment, phase

),

dates as (

    {{ numbered_elements('spans', 'dates', ['shop', 'experiment', 'phase']) }}

),

weeks as (

    select
        shop,
        experiment,
        phase,
        cast(element_number - 1 as integer) as week
    from dates

),

-- The units whose week is complete.
week_units as (

    select
        observed.shop,
        observed.experiment,
        observed.phase,
        observed.variation,
        weeks.week,
        min(observed.currency) as currency,
        sum(observed.units) as units
    from weeks
    inner join observed
        on
            weeks.shop = observed.shop
            and weeks.experiment = observed.experiment
            and weeks.phase = observed.phase
            and weeks.week < observed.whole_weeks
    group by observed.shop, observed.experiment, observed.phase, observed.variation, weeks.week

),

done as (

    select
        actions.shop,
        actions.experiment,
        actions.phase,
        actions.variation,
        actions.week,
        count(distinct case when actions.action = 'visit' then actions.unit end) as returned_units,
        count(distinct case when actions.action = 'order' then actions.unit end) as buyers,
        count(*) filter (where actions.is_in_currency) as orders,
        sum(actions.sales) filter (where actions.is_in_currency) as sales,
        sum(actions.net_sales) filter (where actions.is_in_currency) as net_sales
    from actions
    inner join units
        on
            actions.shop = units.shop
            and actions.experiment = units.experiment
            and actions.phase = units.phase
            and actions.unit = units.unit
            and actions.week < units.whole_weeks
    group by actions.shop, actions.experiment, actions.phase, actions.variation, actions.week

)

select
    week_units.shop,
    week_units.experiment,
    week_units.phase,
    week_units.variation,
    week_units.week,
    cast(week_units.units as bigint) as units,
    coalesce(done.returned_units, 0) as returned_units,
    cast(coalesce(done.returned_units, 0) as double) / week_units.units as retention,
    coalesce(done.buyers, 0) as buyers,
    coalesce(done.orders, 0) as orders,
    {{ total('coalesce(done.sales, 0)') }} as sales,
    {{ total('coalesce(done.net_sales, 0)') }} as net_sales,
    cast(coalesce(done.sales, 0) as double) / week_units.units as sales_per_unit,
    week_units.currency
from week_units
left join done
    on
        week_units.shop = done.shop
        and week_units.experiment = done.experiment
        and week_units.phase = done.phase
        and week_units.variation = done.variation
        and week_units.week = done.week
