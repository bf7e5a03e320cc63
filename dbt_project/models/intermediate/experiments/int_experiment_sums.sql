{#-
    Everything that the statistics need, summed in one pass over the units. Sums are exact decimals, so that they do not
    depend on the order of rows. Strata are for the adjusted results: one for units seen before, the others by device,
    channel and landing page.
-#}

{% set metrics = experiment_metrics() %}
{% set capped_columns = [] %}
{% set variants = [] %}
{% for metric, parts in metrics.items() %}
    {% for is_capped in [false, true] if parts.has_cap or not is_capped %}
        {% do variants.append({'metric': metric, 'is_capped': is_capped, 'parts': parts}) %}
    {% endfor %}
    {% if parts.has_cap %}
        {% for column in [parts.numerator, parts.denominator] if column and column not in capped_columns %}
            {% do capped_columns.append(column) %}
        {% endfor %}
    {% endif %}
{% endfor %}
{% set segment_kinds = ['device', 'channel', 'visitor', 'segment'] %}
{% set sums = ['active_units', 'numerator', 'denominator', 'earlier_numerator', 'earlier_denominator'] %}
{% for row in range(1, 5) %}
    {% for column in range(row, 5) %}
        {% do sums.append('products_' ~ row ~ column) %}
    {% endfor %}
{% endfor %}

with

units as (

    select
        shop,
        experiment,
        phase,
        variation,
        first_exposed_at,
        local_date,
        device,
        channel,
        visitor,
        segment,
        case when visitor = 'known' then 'known' else concat_ws('', device, '|', channel, '|', landing_kind) end as stratum,
        {% for column in ['impressions', 'clicks', 'adders', 'buyers', 'orders', 'units_bought', 'sales', 'net_sales', 'refunds'] %}
            {{ unit_value(column) }} as {{ column }},
            {{ unit_value('earlier_' ~ column) }} as earlier_{{ column }}{{ "," if not loop.last }}
        {% endfor %}
    from {{ ref('unit_metrics') }}

),

-- A quantile of the buyers: if few visitors buy, a quantile of all visitors would be 0.
caps as (

    select
        shop,
        experiment,
        phase,
        {% for column in capped_columns %}
            cast(percentile_disc({{ var('experiment_cap_quantile') }}) within group (
                order by case when {{ column }} > 0 then {{ column }} end
            ) as decimal(15, 2)) as {{ column }}{{ "," if not loop.last }}
        {% endfor %}
    from units
    group by shop, experiment, phase

),

with_caps as (

    select
        units.*,
        {% for column in capped_columns %}
            least(units.{{ column }}, coalesce(caps.{{ column }}, units.{{ column }})) as capped_{{ column }},
            least(units.earlier_{{ column }}, coalesce(caps.{{ column }}, units.earlier_{{ column }}))
                as earlier_capped_{{ column }}{{ "," if not loop.last }}
        {% endfor %}
    from units
    inner join caps
        on units.shop = caps.shop and units.experiment = caps.experiment and units.phase = caps.phase

),

cells as (

    select
        shop,
        experiment,
        phase,
        variation,
        device,
        channel,
        visitor,
        segment,
        stratum,
        count(*) as units,
        {% for variant in variants %}
            {% set number = loop.index %}
            {% set prefix = 'capped_' if variant.is_capped else '' %}
            {% set numerator = prefix ~ variant.parts.numerator %}
            {% set denominator = prefix ~ variant.parts.denominator if variant.parts.denominator else none %}
            {% set columns = [
                numerator, denominator, 'earlier_' ~ numerator, 'earlier_' ~ denominator if denominator else none
            ] %}
            count(*) filter (where {{ numerator }} > 0) as a{{ number }},
            {% for column in columns if column %}
                sum({{ column }}) as s{{ number }}_{{ columns.index(column) + 1 }},
            {% endfor %}
            {% for row in range(4) if columns[row] %}
                {% for other in range(row, 4) if columns[other] %}
                    sum({{ columns[row] }} * {{ columns[other] }}) as p{{ number }}_{{ row + 1 }}{{ other + 1 }},
                {% endfor %}
            {% endfor %}
        {% endfor %}
        min(first_exposed_at) as first_exposed_at
    from with_caps
    group by shop, experiment, phase, variation, device, channel, visitor, segment, stratum

),

metrics as (

    {% for variant in variants %}
        {% set number = loop.index %}
        {% set is_ratio = variant.parts.denominator is not none %}
        select
            shop,
            experiment,
            phase,
            variation,
            device,
            channel,
            visitor,
            segment,
            stratum,
            '{{ variant.metric }}' as metric,
            {{ variant.is_capped | lower }} as is_capped,
            units,
            a{{ number }} as active_units,
            {% for column in range(1, 5) %}
                {{ 's' ~ number ~ '_' ~ column if is_ratio or column in [1, 3] else 'units' }} as {{ sums[column] }},
            {% endfor %}
            {% for row in range(1, 5) %}
                {% for column in range(row, 5) %}
                    {% set value = 'p' ~ number ~ '_' ~ row ~ column %}
                    {% if not is_ratio %}
                        {% set of_one = {12: 1, 14: 1, 23: 3, 34: 3} %}
                        {% set key = row * 10 + column %}
                        {% if key in of_one %}
                            {% set value = 's' ~ number ~ '_' ~ of_one[key] %}
                        {% elif key in [22, 24, 44] %}
                            {% set value = 'units' %}
                        {% endif %}
                    {% endif %}
                    cast({{ value }} as decimal(38, 4)) as products_{{ row }}{{ column -}}
                    {{ "," if row * 10 + column < 44 }}
                {% endfor %}
            {% endfor %}
        from cells
        {{ "union all" if not loop.last }}
    {% endfor %}

),

segments as (

    {% for kind in ['all'] + segment_kinds %}
        select
            shop,
            experiment,
            phase,
            metric,
            is_capped,
            '{{ kind }}' as segment_kind,
            {{ "'all'" if kind == 'all' else kind }} as segment,
            variation,
            stratum,
            sum(units) as units
            {%- for column in sums %},
                sum({{ column }}) as {{ column }}
            {%- endfor %}
        from metrics
        group by shop, experiment, phase, metric, is_capped, {{ kind ~ ', ' if kind != 'all' }}variation, stratum
        {{ "union all" if not loop.last }}
    {% endfor %}

),

-- Sales of each unit in each week of the shop, for the incremental sales of a holdout.
unit_weeks as (

    select
        shop,
        experiment,
        phase,
        variation,
        unit,
        cast({{ dbt.date_trunc('week', 'local_date') }} as date) as week,
        {{ unit_value('sum(sales)') }} as sales
    from {{ ref('int_experiment_actions') }}
    where is_holdout and action = 'order' and not is_earlier and is_in_currency
    group by shop, experiment, phase, variation, unit, cast({{ dbt.date_trunc('week', 'local_date') }} as date)

),

week_sales as (

    select
        shop,
        experiment,
        phase,
        variation,
        week,
        count(*) filter (where sales > 0) as buyers,
        sum(sales) as sales,
        sum(sales * sales) as squares
    from unit_weeks
    group by shop, experiment, phase, variation, week

),

entries as (

    select
        shop,
        experiment,
        phase,
        variation,
        cast({{ dbt.date_trunc('week', 'local_date') }} as date) as week,
        count(*) as units
    from units
    group by shop, experiment, phase, variation, cast({{ dbt.date_trunc('week', 'local_date') }} as date)

),

weeks as (

    select distinct
        shop,
        experiment,
        phase,
        week
    from week_sales

),

week_units as (

    select
        weeks.shop,
        weeks.experiment,
        weeks.phase,
        entries.variation,
        weeks.week,
        sum(entries.units) as units
    from weeks
    inner join entries
        on
            weeks.shop = entries.shop
            and weeks.experiment = entries.experiment
            and weeks.phase = entries.phase
            and weeks.week >= entries.week
    group by weeks.shop, weeks.experiment, weeks.phase, entries.variation, weeks.week

),

weekly as (

    select
        week_units.shop,
        week_units.experiment,
        week_units.phase,
        'incremental_sales' as metric,
        false as is_capped,
        'week' as segment_kind,
        cast(week_units.week as {{ dbt.type_string() }}) as segment,
        week_units.variation,
        'all' as stratum,
        week_units.units,
        coalesce(week_sales.buyers, 0) as active_units,
        coalesce(week_sales.sales, 0) as numerator,
        week_units.units as denominator,
        0 as earlier_numerator,
        week_units.units as earlier_denominator,
        coalesce(week_sales.squares, 0) as products_11,
        coalesce(week_sales.sales, 0) as products_12,
        0 as products_13,
        coalesce(week_sales.sales, 0) as products_14,
        week_units.units as products_22,
        0 as products_23,
        week_units.units as products_24,
        0 as products_33,
        0 as products_34,
        week_units.units as products_44
    from week_units
    left join week_sales
        on
            week_units.shop = week_sales.shop
            and week_units.experiment = week_sales.experiment
            and week_units.phase = week_sales.phase
            and week_units.variation = week_sales.variation
            and week_units.week = week_sales.week

),

-- For the sample ratio: includes people on several devices, because leaving them out changes the ratio.
assigned as (

    select
        shop,
        experiment,
        phase,
        variation,
        device,
        channel,
        visitor,
        segment,
        browser,
        landing_page,
        cast(local_date as {{ dbt.type_string() }}) as day
    from {{ ref('exposures') }}
    where is_counted or left_out_reason in ('several_devices', 'same_person')

),

counts as (

    {% for kind in ['all'] + segment_kinds + ['browser', 'landing_page', 'day'] %}
        select
            shop,
            experiment,
            phase,
            'units' as metric,
            false as is_capped,
            '{{ kind }}' as segment_kind,
            {{ "'all'" if kind == 'all' else kind }} as segment,
            variation,
            'all' as stratum,
            count(*) as units
            {%- for column in sums %},
                0 as {{ column }}
            {%- endfor %}
        from assigned
        group by shop, experiment, phase, {{ kind ~ ', ' if kind != 'all' }}variation
        {{ "union all" if not loop.last }}
    {% endfor %}

)

{% for relation in ['segments', 'weekly', 'counts'] %}
    select
        shop,
        experiment,
        phase,
        metric,
        is_capped,
        segment_kind,
        segment,
        variation,
        stratum,
        cast(units as bigint) as units
        {%- for column in sums %},
            {{ total(column) }} as {{ column }}
        {%- endfor %}
    from {{ relation }}
    {{ "union all" if not loop.last }}
{% endfor %}
