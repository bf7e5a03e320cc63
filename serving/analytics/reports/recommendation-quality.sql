-- title: Offline quality of recommendations
-- description: A backtest on recent days. Hit rate: share of cases in which the next product is in the list. MRR: mean reciprocal rank of that product. One point per refresh.
-- filters:
-- task: Task
-- strategy: Strategy
-- computed_at: Computed at
-- cases: Cases | count
-- hit_rate: Hit rate | share
-- mrr: MRR | share
-- coverage: Coverage of the catalogue | share

select
    task,
    strategy,
    computed_at,
    cases,
    hit_rate,
    mrr,
    coverage
from recommendations.evaluation_history
where shop = $shop and status = 'measured'
order by task, strategy, computed_at
