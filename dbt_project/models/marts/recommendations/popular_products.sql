{#- `scope` is the shop, a collection, a vendor, a type, or the views and purchases of a segment or channel. -#}

with

as_of as (

    select * from {{ ref('int_as_of') }}

),

popularity as (

    select * from {{ ref('int_product_popularity') }}

),

products as (

    select
        shop,
        product_id,
        vendor,
        product_type
    from {{ ref('products') }}

),

members as (

    select * from {{ ref('collection_products') }}

),

windows as (

    select * from {{ ref('int_training_windows') }}
    where trained_for = 'now'

),

permissions as (

    select * from {{ ref('int_permissions') }}

),

-- Views and purchases of the people in a segment or channel: each person counts once per product.
views as (

    select distinct
        viewed.shop,
        visits.journey_id,
        sessions.channel,
        viewed.product_id
    from {{ ref('int_session_products') }} as viewed
    inner join windows
        on viewed.shop = windows.shop and viewed.local_date between windows.first_popular_date and windows.last_date
    inner join {{ ref('int_visits') }} as visits on viewed.session_id = visits.session_id
    inner join {{ ref('int_sessions') }} as sessions on viewed.session_id = sessions.session_id

),

bought as (

    select distinct
        baskets.shop,
        baskets.journey_id,
        baskets.product_id
    from {{ ref('int_baskets') }} as baskets
    inner join windows
        on baskets.shop = windows.shop and baskets.local_date between windows.first_popular_date and windows.last_date
    where baskets.journey_id is not null

),

segments as (

    select * from {{ ref('int_customer_segments') }}

),

interests as (

    select
        views.shop,
        'segment' as scope,
        coalesce(segments.segment, 'visitor') as scope_value,
        views.product_id,
        views.journey_id,
        1 as weight
    from views
    inner join permissions on views.journey_id = permissions.journey_id
    left join segments on views.journey_id = segments.journey_id
    where permissions.may_be_profiled

    union

    select
        bought.shop,
        'segment' as scope,
        segments.segment as scope_value,
        bought.product_id,
        bought.journey_id,
        {{ var('purchase_weight') }} as weight
    from bought
    inner join segments on bought.journey_id = segments.journey_id

    union

    select
        shop,
        'channel' as scope,
        channel as scope_value,
        product_id,
        journey_id,
        1 as weight
    from views

),

candidates as (

    select
        shop,
        'popular' as strategy,
        'shop' as scope,
        shop as scope_value,
        product_id as recommended_product_id,
        -- Use the rank instead of the score, which is 0 for products without views.
        -cast(popularity_rank as double) as score,
        viewers as support
    from popularity

    union all

    select
        shop,
        'trending' as strategy,
        'shop' as scope,
        shop as scope_value,
        product_id as recommended_product_id,
        trend as score,
        recent_viewers as support
    from popularity
    where trend > 0 and recent_viewers >= {{ var('trending_min_viewers') }}

    union all

    select
        popularity.shop,
        'popular' as strategy,
        'collection' as scope,
        members.collection_id as scope_value,
        popularity.product_id as recommended_product_id,
        -cast(popularity.popularity_rank as double) as score,
        popularity.viewers as support
    from popularity
    inner join members on popularity.shop = members.shop and popularity.product_id = members.product_id

    {% for scope, column in {'vendor': 'vendor', 'type': 'product_type'}.items() %}

        union all

        select
            popularity.shop,
            'popular' as strategy,
            '{{ scope }}' as scope,
            products.{{ column }} as scope_value,
            popularity.product_id as recommended_product_id,
            -cast(popularity.popularity_rank as double) as score,
            popularity.viewers as support
        from popularity
        inner join products on popularity.shop = products.shop and popularity.product_id = products.product_id
        where products.{{ column }} is not null

    {% endfor %}

    union all

    select
        shop,
        'popular' as strategy,
        scope,
        scope_value,
        product_id as recommended_product_id,
        cast(sum(weight) as double) as score,
        count(distinct journey_id) as support
    from interests
    group by shop, scope, scope_value, product_id
    having count(distinct journey_id) >= {{ var('min_group_visitors') }}

),

{{ best_of_each_list('candidates', ['shop', 'strategy', 'scope', 'scope_value'], var('popular_limit')) }}

select
    listed.shop,
    listed.strategy,
    listed.scope,
    listed.scope_value,
    listed.recommended_product_id,
    listed.position,
    listed.score,
    listed.support,
    {{ reason_in_words('listed.strategy', 'listed.support') }} as reason,
    as_of.as_of as computed_at,
    '{{ var("model_version") }}' as model_version
from listed
left join as_of on listed.shop = as_of.shop
