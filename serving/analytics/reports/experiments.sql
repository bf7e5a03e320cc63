-- title: Experiments
-- description: The verdict on each phase of each experiment, in one sentence.
-- filters:
-- experiment: Experiment
-- experiment_name: Name
-- phase: Phase
-- is_holdout: Holdout
-- status: Status
-- days: Days so far | days
-- units: Visitors | count
-- left_out_units: Visitors left out | count
-- sample_ratio_p_value: Sample ratio, p-value | ratio
-- days_needed: Days still needed | count
-- sentence: Result

select
    experiment,
    experiment_name,
    phase,
    is_holdout,
    status,
    days,
    units,
    left_out_units,
    sample_ratio_p_value,
    days_needed,
    sentence
from experiments.verdicts
where shop = $shop
order by is_holdout, experiment, phase
