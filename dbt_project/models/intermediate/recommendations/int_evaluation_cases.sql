{#-
    A deterministic sample of backtest cases from the last days, for lists trained on the days before. next_view:
    predict the next product that is new to a session. bought_with: predict the other products of an order from one of
    them.
-#}

with

today as (

    select * from {{ ref('int_shop_today') }}

),

views as (

    select views.*
    from {{ ref('int_session_products') }} as views
    inner join today on views.shop = today.shop
    where
        views.local_date > cast({{ dbt.dateadd('day', -var('evaluation_days'), 'today.today') }} as date)
        and views.local_date <= today.today

),

-- The first view of each product in a session.
first_views as (

    select
        shop,
        session_id,
        product_id,
        max(views_to_end) as views_to_end
    from views
    group by shop, session_id, product_id

),

next_views as (

    select
        first_views.shop,
        'next_view' as task,
        first_views.session_id || '/' || first_views.views_to_end as case_id,
        first_views.session_id,
        cast(null as {{ dbt.type_string() }}) as order_key,
        first_views.views_to_end,
        first_views.product_id
    from first_views
    inner join (
        select
            session_id,
            max(views_to_end) as first_view
        from views
        group by session_id
    ) as beginnings
        on first_views.session_id = beginnings.session_id and first_views.views_to_end < beginnings.first_view

),

baskets as (

    select baskets.*
    from {{ ref('int_baskets') }} as baskets
    inner join today on baskets.shop = today.shop
    where
        baskets.local_date > cast({{ dbt.dateadd('day', -var('evaluation_days'), 'today.today') }} as date)
        and baskets.local_date <= today.today
        and baskets.products between 2 and {{ var('max_basket_products') }}

),

given_products as (

    select
        shop,
        'bought_with' as task,
        order_key || '/' || product_id as case_id,
        cast(null as {{ dbt.type_string() }}) as session_id,
        order_key,
        cast(null as bigint) as views_to_end,
        product_id
    from baskets

)

select * from (
    select
        *,
        row_number() over (partition by shop, task order by md5(case_id), case_id) as sample_rank
    from (
        select * from next_views
        union all
        select * from given_products
    ) as cases
) as ranked
where sample_rank <= {{ var('evaluation_cases') }}
