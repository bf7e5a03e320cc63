{#-
    Products that each person viewed, added to a cart or bought, with a weight: the input of personal lists. Old views and
    carts are left out; old purchases are kept, because the person still owns the product.
-#}

with

windows as (

    select * from {{ ref('int_training_windows') }}

),

visits as (

    select
        session_id,
        journey_id
    from {{ ref('int_visits') }}

),

viewed as (

    select
        windows.trained_for,
        views.shop,
        visits.journey_id,
        views.product_id,
        1 as weight,
        0 as orders,
        views.local_date as last_date
    from {{ ref('int_session_products') }} as views
    inner join windows
        on
            views.shop = windows.shop
            and views.local_date between windows.first_interest_date and windows.last_date
    inner join visits on views.session_id = visits.session_id

),

carted as (

    select
        windows.trained_for,
        events.shop,
        visits.journey_id,
        events.product_id,
        {{ var('cart_weight') }} as weight,
        0 as orders,
        events.local_date as last_date
    from {{ ref('int_events') }} as events
    inner join windows
        on
            events.shop = windows.shop
            and events.local_date between windows.first_interest_date and windows.last_date
    inner join visits on events.session_id = visits.session_id
    inner join {{ ref('int_sessions') }} as sessions on events.session_id = sessions.session_id
    where events.event_name = 'product_added_to_cart' and events.product_id is not null and not sessions.is_bot

),

bought as (

    select
        windows.trained_for,
        baskets.shop,
        baskets.journey_id,
        baskets.product_id,
        {{ var('purchase_weight') }} as weight,
        1 as orders,
        baskets.local_date as last_date
    from {{ ref('int_baskets') }} as baskets
    inner join windows
        on baskets.shop = windows.shop and baskets.local_date <= windows.last_date
    where baskets.journey_id is not null

),

signals as (

    select * from viewed
    union all
    select * from carted
    union all
    select * from bought

)

select
    signals.trained_for,
    signals.shop,
    signals.journey_id,
    signals.product_id,
    max(signals.weight) as weight,
    cast(sum(signals.orders) as bigint) as orders,
    max(signals.last_date) as last_date
from signals
inner join {{ ref('eligibility') }} as eligibility
    on signals.shop = eligibility.shop and signals.product_id = eligibility.product_id
where coalesce(eligibility.ineligible_reason, '') <> 'not in the catalogue'
group by signals.trained_for, signals.shop, signals.journey_id, signals.product_id
