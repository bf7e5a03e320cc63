{#- A view: recency changes with as_of, and scores change with other customers' orders. -#}

{{ config(materialized='view') }}

with

journeys as (

    select journeys.*
    from {{ ref('user_journeys') }} as journeys
    inner join {{ ref('int_permissions') }} as permissions on journeys.journey_id = permissions.journey_id
    where permissions.may_be_profiled

),

orders as (

    select * from {{ ref('orders') }}
    where journey_id is not null and not is_test

),

products as (

    select * from {{ ref('products') }}

),

views as (

    select
        visits.journey_id,
        events.shop,
        events.product_id,
        events.event_at,
        events.event_id
    from {{ ref('int_events') }} as events
    inner join {{ ref('int_visits') }} as visits on events.session_id = visits.session_id
    inner join {{ ref('int_sessions') }} as sessions on events.session_id = sessions.session_id
    where events.event_name = 'product_viewed' and events.product_id is not null and not sessions.is_bot

),

bought as (

    select
        orders.journey_id,
        items.shop,
        items.product_id
    from {{ ref('order_items') }} as items
    inner join orders on items.order_key = orders.order_key
    where items.product_id is not null

),

-- Purchases weigh more than views.
interests as (

    select
        journey_id,
        shop,
        product_id,
        sum(weight) as weight
    from (
        select
            journey_id,
            shop,
            product_id,
            1 as weight
        from views

        union all

        select
            journey_id,
            shop,
            product_id,
            {{ var('purchase_weight') }} as weight
        from bought
    ) as signals
    group by journey_id, shop, product_id

),

collected as (

    select
        members.shop,
        members.product_id,
        collections.title as collection
    from {{ ref('collection_products') }} as members
    inner join {{ ref('collections') }} as collections
        on members.shop = collections.shop and members.collection_id = collections.collection_id

),

{% for favourite in ['vendor', 'product_type'] %}
    {{ favourite }}_weights as (

        select
            interests.journey_id,
            products.{{ favourite }} as favourite,
            sum(interests.weight) as weight
        from interests
        inner join products on interests.shop = products.shop and interests.product_id = products.product_id
        where products.{{ favourite }} is not null
        group by interests.journey_id, products.{{ favourite }}

    ),
{% endfor %}

collection_weights as (

    select
        interests.journey_id,
        collected.collection as favourite,
        sum(interests.weight) as weight
    from interests
    inner join collected on interests.shop = collected.shop and interests.product_id = collected.product_id
    group by interests.journey_id, collected.collection

),

{% for favourite in ['vendor', 'product_type', 'collection'] %}
    favourite_{{ favourite }}s as (

        select
            journey_id,
            {{ earliest('favourite', ['-weight', 'favourite']) }} as favourite
        from {{ favourite }}_weights
        group by journey_id

    ),
{% endfor %}

-- Price terciles of a shop's products, and the tercile with most of a person's interest.
price_bands as (

    select
        shop,
        product_id,
        case ntile(3) over (partition by shop order by price_min, product_id)
            when 1 then 'low'
            when 2 then 'middle'
            else 'high'
        end as price_band
    from products
    where price_min is not null

),

band_weights as (

    select
        interests.journey_id,
        price_bands.price_band,
        sum(interests.weight) as weight
    from interests
    inner join price_bands on interests.shop = price_bands.shop and interests.product_id = price_bands.product_id
    group by interests.journey_id, price_bands.price_band

),

favourite_bands as (

    select
        journey_id,
        {{ earliest('price_band', ['-weight', 'price_band']) }} as price_band
    from band_weights
    group by journey_id

),

last_views as (

    select
        journey_id,
        product_id,
        row_number() over (partition by journey_id order by last_viewed_at desc, product_id) as view_rank
    from (
        select
            journey_id,
            product_id,
            max(event_at) as last_viewed_at
        from views
        group by journey_id, product_id
    ) as viewed

),

last_viewed as (

    select
        journey_id,
        {{ joined_texts('product_id', ' ', ['view_rank']) }} as last_viewed_product_ids
    from last_views
    where view_rank <= {{ var('last_viewed_products') }}
    group by journey_id

),

customers as (

    select * from {{ ref('int_customer_segments') }}

)

select
    journeys.journey_id,
    journeys.shop,
    journeys.customer_id,
    journeys.first_seen_at,
    journeys.last_seen_at,
    journeys.sessions,
    coalesce(customers.orders, 0) as orders,
    customers.first_ordered_at,
    customers.last_ordered_at,
    customers.days_since_last_order,
    customers.currency,
    coalesce(customers.currencies, 0) as currencies,
    {{ total('customers.amount') }} as gross_spent_amount,
    customers.recency_score,
    customers.frequency_score,
    customers.monetary_score,
    coalesce(customers.segment, 'visitor') as segment,
    favourite_product_types.favourite as favourite_product_type,
    favourite_vendors.favourite as favourite_vendor,
    favourite_collections.favourite as favourite_collection,
    favourite_bands.price_band as favourite_price_band,
    last_viewed.last_viewed_product_ids
from journeys
left join customers on journeys.journey_id = customers.journey_id
left join favourite_product_types on journeys.journey_id = favourite_product_types.journey_id
left join favourite_vendors on journeys.journey_id = favourite_vendors.journey_id
left join favourite_collections on journeys.journey_id = favourite_collections.journey_id
left join favourite_bands on journeys.journey_id = favourite_bands.journey_id
left join last_viewed on journeys.journey_id = last_viewed.journey_id
