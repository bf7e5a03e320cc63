{#-
    Every strategy is measured on all cases; showing nothing counts as a miss. With too few cases, or too few views or
    orders to train on, the rates are null and the status gives the reason.
-#}

with

as_of as (

    select * from {{ ref('int_as_of') }}

),

today as (

    select * from {{ ref('int_shop_today') }}

),

cases as (

    select * from {{ ref('int_evaluation_cases') }}

),

ranks as (

    select * from {{ ref('int_evaluation_ranks') }}

),

baskets as (

    select * from {{ ref('int_baskets') }}

),

-- The training data of the lists: coverage and novelty of a list are measured against the data of its own kind.
activity as (

    select
        shop,
        'view' as kind,
        product_id,
        sessions as times
    from {{ ref('int_viewed_products') }}
    where trained_for = 'backtest'

    union all

    select
        shop,
        'purchase' as kind,
        product_id,
        orders as times
    from {{ ref('int_bought_products') }}
    where trained_for = 'backtest'

),

-- A product page shows both viewed and bought products.
activity_by_kind as (

    select * from activity

    union all

    select
        shop,
        'either' as kind,
        product_id,
        cast(sum(times) as bigint) as times
    from activity
    group by shop, product_id

),

targets as (

    select
        shop,
        task,
        case_id,
        product_id
    from cases
    where task = 'next_view'

    union all

    select
        cases.shop,
        cases.task,
        cases.case_id,
        baskets.product_id
    from cases
    inner join baskets on cases.order_key = baskets.order_key and cases.product_id <> baskets.product_id

),

targets_per_case as (

    select
        shop,
        task,
        case_id,
        count(*) as targets
    from targets
    group by shop, task, case_id

),

-- kind: the training data of a list, against which it is measured.
strategies (task, strategy, cutoff, kind) as (

    values
    ('next_view', 'viewed_together', {{ var('list_limit') }}, 'view'),
    ('next_view', 'session_blend', {{ var('list_limit') }}, 'view'),
    ('next_view', 'popular', {{ var('list_limit') }}, 'view'),
    ('bought_with', 'bought_together', 10, 'purchase'),
    ('bought_with', 'product_page', 10, 'either'),
    ('bought_with', 'popular', 10, 'purchase')

),

hits as (

    select
        ranks.task,
        ranks.strategy,
        ranks.shop,
        ranks.case_id,
        min(ranks.position) as first_hit,
        count(*) as hits
    from ranks
    inner join targets
        on
            ranks.task = targets.task
            and ranks.shop = targets.shop
            and ranks.case_id = targets.case_id
            and ranks.recommended_product_id = targets.product_id
    group by ranks.task, ranks.strategy, ranks.shop, ranks.case_id

),

measured as (

    select
        targets_per_case.shop,
        strategies.task,
        strategies.strategy,
        strategies.cutoff,
        strategies.kind,
        count(*) as cases,
        {{ rounded("count(hits.case_id) / cast(count(*) as double)", 9) }} as hit_rate,
        {{ rounded(
            "cast(sum(" ~ exact("coalesce(1 / cast(hits.first_hit as double), 0)") ~ ") as double) / count(*)", 9
        ) }} as mrr,
        {{ rounded(
            "cast(sum(" ~ exact("coalesce(cast(hits.hits as double) / targets_per_case.targets, 0)")
            ~ ") as double) / count(*)",
            9
        ) }} as recall
    from targets_per_case
    inner join strategies on targets_per_case.task = strategies.task
    left join hits
        on
            strategies.task = hits.task
            and strategies.strategy = hits.strategy
            and targets_per_case.shop = hits.shop
            and targets_per_case.case_id = hits.case_id
    group by targets_per_case.shop, strategies.task, strategies.strategy, strategies.cutoff, strategies.kind

),

-- A product's share of all views or purchases: the lower, the more novel.
shares as (

    select
        shop,
        kind,
        product_id,
        cast(times as double) / sum(times) over (partition by shop, kind) as share
    from activity_by_kind

),

history as (

    select
        shop,
        kind,
        count(*) as products,
        cast(sum(times) as bigint) as times
    from activity_by_kind
    group by shop, kind

),

shown as (

    select
        ranks.task,
        ranks.strategy,
        ranks.shop,
        count(distinct shares.product_id) as products,
        cast(avg({{ exact('-log(2, shares.share)') }}) as double) as novelty
    from ranks
    inner join strategies on ranks.task = strategies.task and ranks.strategy = strategies.strategy
    left join shares
        on
            ranks.shop = shares.shop
            and strategies.kind = shares.kind
            and ranks.recommended_product_id = shares.product_id
    group by ranks.task, ranks.strategy, ranks.shop

),

judged as (

    select
        measured.*,
        coalesce(history.times, 0) as history,
        {{ rounded("coalesce(shown.products, 0) / cast(history.products as double)", 9) }} as coverage,
        {{ rounded("shown.novelty", 9) }} as novelty,
        measured.cases >= {{ var('evaluation_min_cases') }}
        and coalesce(history.times, 0) >= {{ var('evaluation_min_history') }} as is_measured
    from measured
    left join history on measured.shop = history.shop and measured.kind = history.kind
    left join shown
        on
            measured.task = shown.task
            and measured.strategy = shown.strategy
            and measured.shop = shown.shop

)

select
    {{ surrogate_key(['judged.shop', 'judged.task', 'judged.strategy']) }} as evaluation_key,
    judged.shop,
    judged.task,
    judged.strategy,
    cast(judged.cutoff as bigint) as cutoff,
    judged.cases,
    judged.history,
    case when judged.is_measured then 'measured' else 'too little history' end as status,
    {% for figure in ['hit_rate', 'mrr', 'recall', 'coverage', 'novelty'] %}
        case when judged.is_measured then judged.{{ figure }} end as {{ figure }},
    {% endfor %}
    cast({{ dbt.dateadd('day', -var('evaluation_days'), 'today.today') }} as date) as trained_until,
    as_of.as_of as computed_at,
    '{{ var("model_version") }}' as model_version
from judged
left join as_of on judged.shop = as_of.shop
inner join today on judged.shop = today.shop
