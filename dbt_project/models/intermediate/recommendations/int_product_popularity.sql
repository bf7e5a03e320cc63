{#-
    Recent views and orders per product, compared with the weeks before. Includes products without views, newest first, so
    that a shop without visitors has something to show.
-#}

with

today as (

    select * from {{ ref('int_shop_today') }}

),

days as (

    select
        daily.shop,
        daily.product_id,
        daily.viewers,
        daily.orders,
        {{ elapsed('day', 'daily.local_date', 'today.today') }} as age
    from {{ ref('daily_product') }} as daily
    inner join today on daily.shop = today.shop
    where daily.local_date <= today.today

),

counted as (

    select
        shop,
        product_id,
        sum(case when age < {{ var('popular_days') }} then viewers else 0 end) as viewers,
        sum(case when age < {{ var('popular_days') }} then orders else 0 end) as orders,
        sum(case when age < {{ var('trending_days') }} then viewers else 0 end) as recent_viewers,
        cast(sum(
            case
                when age >= {{ var('trending_days') }} and age < {{ var('trending_days') + var('trending_base_days') }}
                    then viewers
                else 0
            end
        ) as double) * {{ var('trending_days') }} / {{ var('trending_base_days') }} as usual_viewers
    from days
    where age < {{ [var('popular_days'), var('trending_days') + var('trending_base_days')] | max }}
    group by shop, product_id

),

scored as (

    select
        products.shop,
        products.product_id,
        products.created_at,
        cast(coalesce(counted.viewers, 0) as bigint) as viewers,
        cast(coalesce(counted.orders, 0) as bigint) as orders,
        cast(
            coalesce(counted.viewers, 0) + {{ var('purchase_weight') }} * coalesce(counted.orders, 0) as double
        ) as score,
        cast(coalesce(counted.recent_viewers, 0) as bigint) as recent_viewers,
        -- An increase over the usual level that is unlikely by chance.
        {{ rounded(
            "(coalesce(counted.recent_viewers, 0) - coalesce(counted.usual_viewers, 0))"
            ~ " / sqrt(coalesce(counted.usual_viewers, 0) + 5)",
            9
        ) }} as trend
    from {{ ref('products') }} as products
    left join counted on products.shop = counted.shop and products.product_id = counted.product_id

)

select
    shop,
    product_id,
    viewers,
    orders,
    score,
    recent_viewers,
    trend,
    row_number() over (
        partition by shop
        order by score desc, created_at desc nulls last, product_id desc
    ) as popularity_rank
from scored
