{#- What each counted unit did after its first exposure in the phase, and before it entered the experiment. -#}

{{ config(pre_hook=[
    "{{ create_declared_table('experiment_results', 'results') }}",
    "{{ create_declared_table('experiment_results', 'sample_ratios') }}",
    "{{ create_declared_table('experiment_results', 'verdicts') }}",
]) }}

with

exposures as (

    select * from {{ ref('exposures') }}
    where is_counted

),

actions as (

    select * from {{ ref('int_experiment_actions') }}
    where action <> 'visit'

),

shops as (

    select * from {{ ref('shops') }}

),

done as (

    select
        shop,
        experiment,
        phase,
        {% for prefix, condition in {'': 'not is_earlier', 'earlier_': 'is_earlier'}.items() %}
            count(*) filter (where {{ condition }} and action = 'impression') as {{ prefix }}impressions,
            count(*) filter (where {{ condition }} and action = 'click') as {{ prefix }}clicks,
            max(case when {{ condition }} and action = 'add' then 1 else 0 end) as {{ prefix }}adders,
            max(case when {{ condition }} and action = 'order' then 1 else 0 end) as {{ prefix }}buyers,
            count(*) filter (where {{ condition }} and is_in_currency) as {{ prefix }}orders,
            sum(units_bought) filter (where {{ condition }} and is_in_currency) as {{ prefix }}units_bought,
            sum(sales) filter (where {{ condition }} and is_in_currency) as {{ prefix }}sales,
            sum(net_sales) filter (where {{ condition }} and is_in_currency) as {{ prefix }}net_sales,
            sum(refunds) filter (where {{ condition }} and is_in_currency) as {{ prefix }}refunds,
        {% endfor %}
        unit
    from actions
    group by shop, experiment, phase, unit

)

select
    exposures.shop,
    exposures.experiment,
    exposures.phase,
    exposures.unit,
    exposures.variation,
    exposures.first_exposed_at,
    exposures.local_date,
    exposures.device,
    exposures.channel,
    exposures.landing_kind,
    exposures.visitor,
    exposures.segment,
    {% for prefix in ['', 'earlier_'] %}
        {% for count in ['impressions', 'clicks', 'adders', 'buyers', 'orders', 'units_bought'] %}
            cast(coalesce(done.{{ prefix ~ count }}, 0) as bigint) as {{ prefix ~ count }},
        {% endfor %}
        {{ total('coalesce(done.' ~ prefix ~ 'sales, 0)') }} as {{ prefix }}sales,
        {{ total('coalesce(done.' ~ prefix ~ 'net_sales, 0)') }} as {{ prefix }}net_sales,
        {{ total('coalesce(done.' ~ prefix ~ 'refunds, 0)') }} as {{ prefix }}refunds,
    {% endfor %}
    shops.currency
from exposures
inner join shops on exposures.shop = shops.shop
left join done
    on
        exposures.shop = done.shop
        and exposures.experiment = done.experiment
        and exposures.phase = done.phase
        and exposures.unit = done.unit
