{#- The top items that each strategy, trained for the backtest, would have shown in each case, ranked from 1. -#}

with

cases as (

    select * from {{ ref('int_evaluation_cases') }}

),

bought_together as (

    select * from {{ ref('int_bought_together') }}
    where trained_for = 'backtest'

),

popularity as (

    select
        'next_view' as task,
        pairs.shop,
        pairs.product_id,
        cast(sum(pairs.sessions) as double) as score
    from {{ ref('int_view_pairs_daily') }} as pairs
    inner join {{ ref('int_training_windows') }} as windows
        on
            pairs.shop = windows.shop
            and pairs.local_date between windows.first_popular_date and windows.last_date
    where pairs.product_id = pairs.other_product_id and windows.trained_for = 'backtest'
    group by pairs.shop, pairs.product_id

    union all

    select
        'bought_with' as task,
        shop,
        product_id,
        recent_orders as score
    from {{ ref('int_bought_products') }}
    where trained_for = 'backtest'

),

-- Enough to fill a list without the products already viewed in a session.
most_popular as (

    select * from (
        select
            *,
            row_number() over (partition by task, shop order by score desc, product_id) as popularity_rank
        from popularity
    ) as ranked
    where popularity_rank <= {{ var('list_limit') + var('max_session_views') }}

),

-- Products bought together, and the product page: the same, followed by products viewed together.
product_lists as (

    select
        'bought_together' as strategy,
        shop,
        product_id,
        recommended_product_id,
        score
    from bought_together

    union all

    select
        'product_page' as strategy,
        shop,
        product_id,
        recommended_product_id,
        max(score) as score
    from (
        select
            shop,
            product_id,
            recommended_product_id,
            1000 / cast(position as double) as score
        from bought_together

        union all

        select
            shop,
            product_id,
            recommended_product_id,
            2 / cast(position as double) as score
        from {{ ref('int_viewed_together') }}
        where trained_for = 'backtest'
    ) as chained
    group by shop, product_id, recommended_product_id

),

scores as (

    {% for strategy, score in {'viewed_together': 'list_score', 'session_blend': 'score'}.items() %}
        select
            'next_view' as task,
            '{{ strategy }}' as strategy,
            shop,
            prefix_id as case_id,
            recommended_product_id,
            {{ score }} as score
        from {{ ref('int_session_scores') }}
        where trained_for = 'backtest' and {{ score }} is not null

        union all
    {% endfor %}

    select
        cases.task,
        lists.strategy,
        cases.shop,
        cases.case_id,
        lists.recommended_product_id,
        lists.score
    from cases
    inner join product_lists as lists on cases.shop = lists.shop and cases.product_id = lists.product_id
    where cases.task = 'bought_with'

    union all

    select
        cases.task,
        'popular' as strategy,
        cases.shop,
        cases.case_id,
        most_popular.product_id as recommended_product_id,
        most_popular.score
    from cases
    inner join most_popular on cases.shop = most_popular.shop and cases.task = most_popular.task

),

-- Products already viewed and the given product are not valid answers.
known as (

    select
        cases.case_id,
        views.product_id
    from cases
    inner join {{ ref('int_session_products') }} as views
        on cases.session_id = views.session_id and views.views_to_end > cases.views_to_end

    union

    select
        case_id,
        product_id
    from cases
    where task = 'bought_with'

)

select * from (
    select
        scores.task,
        scores.strategy,
        scores.shop,
        scores.case_id,
        scores.recommended_product_id,
        row_number() over (
            partition by scores.task, scores.strategy, scores.shop, scores.case_id
            order by {{ rounded("scores.score", 9) }} desc, scores.recommended_product_id
        ) as position
    from scores
    left join known on scores.case_id = known.case_id and scores.recommended_product_id = known.product_id
    where known.case_id is null
) as ranked
where position <= case task when 'next_view' then {{ var('list_limit') }} else 10 end
