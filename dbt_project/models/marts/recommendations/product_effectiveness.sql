{#-
    Counts sessions like Shopify's product_recommendation_conversions: what follows a click counts if it is in the same
    session. Sales are dated by the day they happened, in any session.
-#}

{% set key = ['shop', 'local_date', 'source', 'product_id'] %}

with

listed as (

    select * from {{ ref('int_listed_products') }}
    where product_id is not null

),

outcomes as (

    select * from {{ ref('int_attributed_outcomes') }}

),

shops as (

    select
        shop,
        coalesce(currency, 'unknown') as currency
    from {{ ref('shops') }}

),

sessions as (

    select
        {{ key | join(', ') }},
        session_id,
        count(*) as items_seen,
        count(*) filter (where is_clicked) as items_clicked
    from listed
    group by {{ key | join(', ') }}, session_id

),

seen as (

    select
        {{ key | join(', ') }},
        sum(items_seen) as items_seen,
        sum(items_clicked) as items_clicked,
        count(session_id) as sessions_seen,
        count(session_id) filter (where items_clicked > 0) as sessions_clicked
    from sessions
    group by {{ key | join(', ') }}

),

followed as (

    select
        shop,
        list_date as local_date,
        source,
        product_id,
        count(distinct case when outcome = 'cart_add' then session_id end) as sessions_carted,
        count(distinct case when outcome = 'order' then session_id end) as sessions_converted
    from outcomes
    where attribution = 'direct' and session_id = list_session_id
    group by shop, list_date, source, product_id

),

sold as (

    select
        {{ key | join(', ') }},
        currency,
        {% for attribution in ['direct', 'view_through'] %}
            {% set is_this = "outcome = 'order' and attribution = '" ~ attribution ~ "'" %}
            count(distinct case when {{ is_this }} then order_key end) as {{ attribution }}_orders,
            sum(quantity) filter (where {{ is_this }}) as {{ attribution }}_units,
            sum(amount) filter (where {{ is_this }}) as {{ attribution }}_gross_sales,
            sum(net_amount) filter (where {{ is_this }}) as {{ attribution }}_net_sales,
        {% endfor %}
        count(*) filter (where outcome = 'cart_add') as cart_adds
    from (
        select
            outcomes.shop,
            outcomes.local_date,
            outcomes.source,
            outcomes.product_id,
            coalesce(outcomes.currency, shops.currency) as currency,
            outcomes.outcome,
            outcomes.attribution,
            outcomes.order_key,
            outcomes.quantity,
            outcomes.amount,
            outcomes.net_amount
        from outcomes
        inner join shops on outcomes.shop = shops.shop
    ) as in_currency
    group by {{ key | join(', ') }}, currency

),

rows_of_products as (

    {% for relation, currency in {
        'seen': 'shops.currency', 'followed': 'shops.currency', 'sold': 'relation.currency'
    }.items() %}
        select
            {% for column in key %}
                relation.{{ column }},
            {% endfor %}
            {{ currency }} as currency
        from {{ relation }} as relation
        inner join shops on relation.shop = shops.shop
        {{ "union" if not loop.last }}
    {% endfor %}

)

select
    {% for column in key %}
        rows_of_products.{{ column }},
    {% endfor %}
    rows_of_products.currency,
    cast(coalesce(seen.items_seen, 0) as bigint) as items_seen,
    cast(coalesce(seen.items_clicked, 0) as bigint) as items_clicked,
    cast(seen.items_clicked as double) / nullif(seen.items_seen, 0) as item_click_rate,
    coalesce(seen.sessions_seen, 0) as sessions_with_product_recommendations,
    coalesce(seen.sessions_clicked, 0) as product_recommendation_sessions_with_clicks,
    coalesce(followed.sessions_carted, 0) as product_recommendation_sessions_with_cart_additions,
    coalesce(followed.sessions_converted, 0) as product_recommendation_sessions_with_conversions,
    cast(seen.sessions_clicked as double) / nullif(seen.sessions_seen, 0) as product_recommendation_click_rate,
    cast(coalesce(followed.sessions_carted, 0) as double) / nullif(seen.sessions_seen, 0)
        as product_recommendation_added_to_cart_rate,
    cast(coalesce(followed.sessions_converted, 0) as double) / nullif(seen.sessions_seen, 0)
        as product_recommendation_conversion_rate,
    coalesce(sold.cart_adds, 0) as cart_adds,
    {% for attribution in ['direct', 'view_through'] %}
        coalesce(sold.{{ attribution }}_orders, 0) as {{ attribution }}_orders,
        cast(coalesce(sold.{{ attribution }}_units, 0) as bigint) as {{ attribution }}_units,
        {{ total('coalesce(sold.' ~ attribution ~ '_gross_sales, 0)') }} as {{ attribution }}_gross_sales,
        {{ total('coalesce(sold.' ~ attribution ~ '_net_sales, 0)') }} as {{ attribution }}_net_sales,
    {% endfor %}
    cast({{ var('attribution_click_days') }} as bigint) as attribution_click_days,
    cast({{ var('attribution_view_days') }} as bigint) as attribution_view_days
from rows_of_products
inner join shops on rows_of_products.shop = shops.shop
left join seen
    on
        rows_of_products.currency = shops.currency
        {% for column in key %}
            and rows_of_products.{{ column }} = seen.{{ column }}
        {% endfor %}
left join followed
    on
        rows_of_products.currency = shops.currency
        {% for column in key %}
            and rows_of_products.{{ column }} = followed.{{ column }}
        {% endfor %}
left join sold
    on
        rows_of_products.currency = sold.currency
        {% for column in key %}
            and rows_of_products.{{ column }} = sold.{{ column }}
        {% endfor %}
