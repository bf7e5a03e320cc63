-- title: Results of experiments
-- description: Each metric of each variation against the control: lift with its fixed-horizon and its always-valid 95 % interval. Phases are never mixed.
-- filters:
-- experiment: Experiment
-- phase: Phase
-- metric: Metric
-- variation: Variation
-- role: Role
-- is_adjusted: Adjusted for earlier behaviour
-- control_value: Control | ratio
-- variation_value: Variation value | ratio
-- lift: Lift | share
-- lift_lower: Lower bound | share
-- lift_upper: Upper bound | share
-- sequential_lift_lower: Lower bound, always valid | share
-- sequential_lift_upper: Upper bound, always valid | share
-- p_value: p-value | ratio
-- corrected_p_value: Corrected p-value | ratio
-- status: Status

select
    experiment,
    phase,
    metric,
    variation,
    role,
    is_adjusted,
    control_value,
    variation_value,
    lift,
    lift_lower,
    lift_upper,
    sequential_lift_lower,
    sequential_lift_upper,
    p_value,
    corrected_p_value,
    status
from experiments.results
where shop = $shop and segment_kind = 'all' and not is_capped
order by experiment, phase, variation, role, metric, is_adjusted
