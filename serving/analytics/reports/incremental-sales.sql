-- title: Incremental sales
-- description: Extra sales compared with a holdout that sees no recommendations, with the 95 % interval, and attributed sales. Never add the two.
-- filters:
-- experiment: Experiment
-- phase: Phase
-- variation: Variation
-- control_units: Visitors in control | count
-- variation_units: Visitors in variation | count
-- currency: Currency
-- difference: Incremental sales | money
-- lower: Lower bound | money
-- upper: Upper bound | money
-- attributed_sales: Attributed sales | money
-- status: Status

select
    experiment,
    phase,
    variation,
    control_units,
    variation_units,
    currency,
    difference,
    lower,
    upper,
    attributed_sales,
    status
from experiments.results
where
    shop = $shop
    and metric = 'incremental_sales'
    and segment_kind = 'all'
    and not is_capped
    and not is_adjusted
order by experiment, phase, variation
