{#- What each strategy, knowing only the days before, would have shown in each case: its best, the first of them 1. -#}

with

cases as (

    select * from {{ ref('int_evaluation_cases') }}

),

windows as (

    {{ last_days(var('view_window_days'), var('evaluation_days')) }}

),

order_windows as (

    {{ last_days(var('order_window_days'), var('evaluation_days')) }}

),

popular_windows as (

    {{ last_days(var('popular_days'), var('evaluation_days')) }}

),

{{ viewed_together_pairs('windows', var('list_limit'), eligible=false) }},

{{ bought_together_pairs('order_windows') }},

viewed_lists as (

    select
        shop,
        product_id,
        recommended_product_id,
        place,
        score
    from viewed_pairs

    union all

    select
        shop,
        product_id,
        product_id as recommended_product_id,
        0 as place,
        again as score
    from viewed_products
    where again > 0

),

bought_lists as (

    select * from (
        select
            *,
            row_number() over (
                partition by shop, product_id
                order by score desc, support desc, recommended_product_id
            ) as place
        from bought_pairs
    ) as ranked
    where place <= {{ var('list_limit') }}

),

views as (

    select * from {{ ref('int_session_products') }}

),

neighbour_windows as (

    {{ last_days(var('neighbour_days'), var('evaluation_days')) }}

),

past_views as (

    select views.*
    from views
    inner join neighbour_windows
        on
            views.shop = neighbour_windows.shop
            and views.local_date between neighbour_windows.first_date and neighbour_windows.last_date

),

prefixes as (

    select
        cases.case_id as prefix_id,
        cases.shop,
        cases.session_id,
        views.product_id,
        min(views.views_to_end - cases.views_to_end) as distance
    from cases
    inner join views
        on
            cases.session_id = views.session_id
            and views.views_to_end > cases.views_to_end
            and views.views_to_end <= cases.views_to_end + {{ var('session_views') }}
    where cases.task = 'next_view'
    group by cases.case_id, cases.shop, cases.session_id, views.product_id

),

{{ session_neighbours('prefixes', 'past_views') }},

{{ combined_lists('prefixes', 'viewed_lists') }},

{{ blended_scores() }},

popular_views as (

    select
        pairs.shop,
        pairs.product_id,
        sum(pairs.sessions) as score
    from {{ ref('int_view_pairs_daily') }} as pairs
    inner join popular_windows
        on
            pairs.shop = popular_windows.shop
            and pairs.local_date between popular_windows.first_date and popular_windows.last_date
    where pairs.product_id = pairs.other_product_id
    group by pairs.shop, pairs.product_id

),

popular_orders as (

    select
        shop,
        product_id,
        recent_orders as score
    from bought_products

),

-- Enough of them to make up for those that a session has seen.
most_popular as (

    select * from (
        select
            task,
            shop,
            product_id,
            score,
            row_number() over (partition by task, shop order by score desc, product_id) as place
        from (
            select
                'next_view' as task,
                shop,
                product_id,
                cast(score as double) as score
            from popular_views
            union all
            select
                'bought_with' as task,
                shop,
                product_id,
                cast(score as double) as score
            from popular_orders
        ) as popular
    ) as ranked
    where place <= {{ var('list_limit') + var('max_session_views') }}

),

-- The chain of a product's page: what is bought with it, then what is viewed with it.
page_lists as (

    select
        shop,
        product_id,
        recommended_product_id,
        max(score) as score
    from (
        select
            shop,
            product_id,
            recommended_product_id,
            2.0 / place as score
        from viewed_pairs

        union all

        select
            shop,
            product_id,
            recommended_product_id,
            1000.0 / place as score
        from bought_lists
    ) as chained
    group by shop, product_id, recommended_product_id

),

scores as (

    select
        'next_view' as task,
        'viewed_together' as strategy,
        prefix_id as case_id,
        shop,
        recommended_product_id,
        score
    from list_scores

    union all

    select
        'next_view' as task,
        'session_blend' as strategy,
        prefix_id as case_id,
        shop,
        recommended_product_id,
        score
    from blended

    union all

    select
        'bought_with' as task,
        'bought_together' as strategy,
        cases.case_id,
        cases.shop,
        lists.recommended_product_id,
        lists.score
    from cases
    inner join bought_lists as lists on cases.shop = lists.shop and cases.product_id = lists.product_id
    where cases.task = 'bought_with'

    union all

    select
        'bought_with' as task,
        'product_page' as strategy,
        cases.case_id,
        cases.shop,
        lists.recommended_product_id,
        lists.score
    from cases
    inner join page_lists as lists on cases.shop = lists.shop and cases.product_id = lists.product_id
    where cases.task = 'bought_with'

    union all

    select
        cases.task,
        'popular' as strategy,
        cases.case_id,
        cases.shop,
        popular.product_id as recommended_product_id,
        popular.score
    from cases
    inner join most_popular as popular on cases.shop = popular.shop and cases.task = popular.task

),

-- What a session has seen, and what is given, is no answer.
known as (

    select
        cases.case_id,
        views.product_id
    from cases
    inner join views on cases.session_id = views.session_id and views.views_to_end > cases.views_to_end

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
            order by round(scores.score, 9) desc, scores.recommended_product_id
        ) as position
    from scores
    left join known on scores.case_id = known.case_id and scores.recommended_product_id = known.product_id
    where known.case_id is null
) as ranked
where position <= case task when 'next_view' then {{ var('list_limit') }} else 10 end
