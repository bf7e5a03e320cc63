{#- A strategy that shows nothing in a case has missed it: every strategy is measured on all cases. -#}

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

strategies (task, strategy, cutoff) as (

    values
    ('next_view', 'viewed_together', {{ var('list_limit') }}),
    ('next_view', 'session_blend', {{ var('list_limit') }}),
    ('next_view', 'popular', {{ var('list_limit') }}),
    ('bought_with', 'bought_together', 10),
    ('bought_with', 'product_page', 10),
    ('bought_with', 'popular', 10)

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
        count(*) as cases,
        round(count(hits.case_id) / cast(count(*) as double), 9) as hit_rate,
        round(cast(sum(cast(coalesce(1.0 / hits.first_hit, 0) as decimal(18, 9))) as double) / count(*), 9) as mrr,
        round(
            cast(
                sum(cast(coalesce(cast(hits.hits as double) / targets_per_case.targets, 0) as decimal(18, 9))) as double
            ) / count(*),
            9
        ) as recall
    from targets_per_case
    inner join strategies on targets_per_case.task = strategies.task
    left join hits
        on
            strategies.task = hits.task
            and strategies.strategy = hits.strategy
            and targets_per_case.shop = hits.shop
            and targets_per_case.case_id = hits.case_id
    group by targets_per_case.shop, strategies.task, strategies.strategy, strategies.cutoff

),

-- How often a product is viewed at all: what few view is news.
viewed as (

    select
        shop,
        product_id,
        sessions
    from {{ ref('int_viewed_products') }}

),

shares as (

    select
        shop,
        product_id,
        cast(sessions as double) / sum(sessions) over (partition by shop) as share
    from viewed

),

active_products as (

    select
        shop,
        count(*) as products
    from viewed
    group by shop

),

shown as (

    select
        ranks.task,
        ranks.strategy,
        ranks.shop,
        count(distinct ranks.recommended_product_id) as products,
        cast(avg(cast(-log(2, shares.share) as decimal(18, 9))) as double) as novelty
    from ranks
    left join shares on ranks.shop = shares.shop and ranks.recommended_product_id = shares.product_id
    group by ranks.task, ranks.strategy, ranks.shop

)

select
    {{ surrogate_key(['measured.shop', 'measured.task', 'measured.strategy']) }} as evaluation_key,
    measured.shop,
    measured.task,
    measured.strategy,
    cast(measured.cutoff as bigint) as cutoff,
    measured.cases,
    measured.hit_rate,
    measured.mrr,
    measured.recall,
    coalesce(round(shown.products / cast(active_products.products as double), 9), 0) as coverage,
    round(shown.novelty, 9) as novelty,
    cast({{ dbt.dateadd('day', -var('evaluation_days'), 'today.today') }} as date) as trained_until,
    as_of.as_of as computed_at,
    '{{ var("model_version") }}' as model_version
from measured
left join as_of on measured.shop = as_of.shop
inner join today on measured.shop = today.shop
left join shown
    on
        measured.task = shown.task
        and measured.strategy = shown.strategy
        and measured.shop = shown.shop
left join active_products on measured.shop = active_products.shop
