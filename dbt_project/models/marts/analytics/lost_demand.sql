{#-
    The orders that people who saw a sold-out product would have placed (beta-binomial). The product's conversion rate
    while it could be bought is shrunk towards its type's, and that towards the shop's, by `lost_demand_prior_cases`
    cases each. The bounds of the number of buyers are rounded outward to whole orders: most products miss only a few.
-#}

{% set prior_cases = var('lost_demand_prior_cases') %}
{% set z = 1.96 %}

with

shops as (

    select * from {{ ref('shops') }}

),

products as (

    select * from {{ ref('products') }}

),

views as (

    select
        views.*,
        visits.journey_id,
        -- A spell belongs to the variant, or to the product if the event names no variant.
        coalesce(views.variant_id, concat_ws('', 'product:', views.product_id)) as item
    from {{ ref('product_views') }} as views
    left join {{ ref('int_visits') }} as visits on views.session_id = visits.session_id
    where
        views.was_available is not null
        and views.product_id is not null
        and not views.is_bot
        and not views.is_test

),

periods as (

    select * from {{ ref('variant_history') }}

),

lines as (

    select
        orders.shop,
        orders.order_key,
        orders.journey_id,
        orders.ordered_at,
        orders.currency,
        lines.product_id,
        lines.amount
    from {{ ref('orders') }} as orders
    inner join {{ ref('int_order_lines') }} as lines on orders.event_key = lines.event_key
    where not orders.is_test and not orders.is_bot and lines.product_id is not null

),

-- All observations of a variant's availability, in order: views of it, and changes from the Admin API.
known as (

    select
        shop,
        item,
        product_id,
        variant_id,
        viewed_at as known_at,
        event_key,
        was_available
    from views

    union all

    select
        shop,
        variant_id as item,
        product_id,
        variant_id,
        valid_from as known_at,
        '' as event_key,
        is_available as was_available
    from periods
    where is_available is not null

),

numbered as (

    select
        *,
        sum(case when was_available then 1 else 0 end) over (
            partition by shop, item
            order by known_at, event_key
            rows between unbounded preceding and current row
        ) as spell_number,
        min(case when was_available then known_at end) over (
            partition by shop, item
            order by known_at, event_key
            rows between 1 following and unbounded following
        ) as back_in_stock_at
    from known

),

sold_out as (

    select
        numbered.shop,
        numbered.item,
        numbered.spell_number,
        min(numbered.product_id) as product_id,
        min(numbered.variant_id) as variant_id,
        min(case when numbered.event_key = '' then numbered.known_at end) as sold_out_at,
        min(numbered.back_in_stock_at) as back_in_stock_at,
        min(views.viewed_at) as first_viewed_at,
        max(views.viewed_at) as last_viewed_at,
        min(views.local_date) as local_date,
        {{ earliest('views.event_key', ['views.viewed_at', 'views.event_key']) }} as first_view_key,
        count(views.event_key) as views,
        count(distinct views.session_id) as sessions,
        sum(case when views.currency = shops.currency then views.price end) as price_sum,
        count(case when views.currency = shops.currency then views.price end) as prices
    from numbered
    left join views on numbered.event_key = views.event_key
    left join shops on numbered.shop = shops.shop
    where not numbered.was_available
    group by numbered.shop, numbered.item, numbered.spell_number

),

viewers as (

    select
        numbered.shop,
        numbered.item,
        numbered.spell_number,
        numbered.product_id,
        views.journey_id,
        min(views.viewed_at) as viewed_at,
        min(numbered.back_in_stock_at) as back_in_stock_at
    from numbered
    inner join views on numbered.event_key = views.event_key
    where not numbered.was_available and views.journey_id is not null
    group by numbered.shop, numbered.item, numbered.spell_number, numbered.product_id, views.journey_id

),

buyers as (

    select
        viewers.shop,
        viewers.item,
        viewers.spell_number,
        viewers.journey_id,
        max(case when lines.ordered_at >= viewers.back_in_stock_at then 1 else 0 end) as bought_when_back
    from viewers
    inner join lines
        on
            viewers.journey_id = lines.journey_id
            and viewers.product_id = lines.product_id
            and viewers.viewed_at <= lines.ordered_at
    group by viewers.shop, viewers.item, viewers.spell_number, viewers.journey_id

),

returners as (

    select distinct
        viewers.shop,
        viewers.item,
        viewers.spell_number,
        viewers.journey_id
    from viewers
    inner join views
        on
            viewers.shop = views.shop
            and viewers.item = views.item
            and viewers.journey_id = views.journey_id
            and viewers.back_in_stock_at <= views.viewed_at
    where views.was_available

),

people as (

    select
        viewers.shop,
        viewers.item,
        viewers.spell_number,
        count(*) as people,
        count(buyers.journey_id) as people_bought,
        count(returners.journey_id) as people_came_back,
        coalesce(sum(buyers.bought_when_back), 0) as people_bought_when_back
    from viewers
    left join buyers
        on
            viewers.shop = buyers.shop
            and viewers.item = buyers.item
            and viewers.spell_number = buyers.spell_number
            and viewers.journey_id = buyers.journey_id
    left join returners
        on
            viewers.shop = returners.shop
            and viewers.item = returners.item
            and viewers.spell_number = returners.spell_number
            and viewers.journey_id = returners.journey_id
    group by viewers.shop, viewers.item, viewers.spell_number

),

-- A case: a person and a product that could be bought when first seen.
cases as (

    select
        shop,
        product_id,
        journey_id,
        min(viewed_at) as viewed_at
    from views
    where was_available and journey_id is not null
    group by shop, product_id, journey_id

),

hits as (

    select distinct
        cases.shop,
        cases.product_id,
        cases.journey_id
    from cases
    inner join lines
        on
            cases.journey_id = lines.journey_id
            and cases.product_id = lines.product_id
            and cases.viewed_at <= lines.ordered_at
            and lines.ordered_at < cases.viewed_at + interval '{{ var("lost_demand_days") }}' day

),

by_product as (

    select
        products.shop,
        products.product_id,
        coalesce(products.product_type, '') as product_type,
        count(cases.journey_id) as cases,
        count(hits.journey_id) as hits
    from products
    left join cases on products.shop = cases.shop and products.product_id = cases.product_id
    left join hits
        on
            cases.shop = hits.shop
            and cases.product_id = hits.product_id
            and cases.journey_id = hits.journey_id
    group by products.shop, products.product_id, coalesce(products.product_type, '')

),

with_sums as (

    select
        *,
        sum(cases) over (partition by shop, product_type) as type_cases,
        sum(hits) over (partition by shop, product_type) as type_hits,
        -- Half a hit and half a miss are added (Jeffreys), so that a shop without hits does not seem certain.
        case
            when sum(cases) over (partition by shop) > 0
                then (sum(hits) over (partition by shop) + 0.5) / (sum(cases) over (partition by shop) + 1.0)
        end as shop_rate
    from by_product

),

with_type_rate as (

    select
        *,
        (type_hits + {{ prior_cases }} * cast(shop_rate as double)) / (type_cases + {{ prior_cases }}) as type_rate
    from with_sums

),

rates as (

    select
        *,
        (hits + {{ prior_cases }} * type_rate) / (cases + {{ prior_cases }}) as rate
    from with_type_rate

),

values_of_orders as (

    select
        lines.shop,
        lines.product_id,
        cast(sum(lines.amount) as double) / count(distinct lines.order_key) as order_value
    from lines
    inner join shops on lines.shop = shops.shop and lines.currency = shops.currency
    where lines.amount is not null
    group by lines.shop, lines.product_id

),

-- The number of buyers among the people is beta-binomial; its mean and variance:
estimated as (

    select
        sold_out.*,
        coalesce(people.people, 0) as people,
        coalesce(people.people_bought, 0) as people_bought,
        coalesce(people.people_came_back, 0) as people_came_back,
        coalesce(people.people_bought_when_back, 0) as people_bought_when_back,
        coalesce(rates.cases, 0) as cases,
        coalesce(rates.hits, 0) as hits,
        rates.rate,
        coalesce(people.people, 0) * rates.rate as expected_orders,
        sqrt(
            coalesce(people.people, 0) * rates.rate * (1 - rates.rate)
            * (rates.cases + {{ prior_cases }} + coalesce(people.people, 0)) / (rates.cases + {{ prior_cases }} + 1)
        ) as standard_deviation,
        coalesce(
            values_of_orders.order_value,
            cast(sold_out.price_sum as double) / nullif(sold_out.prices, 0)
        ) as order_value
    from sold_out
    left join people
        on
            sold_out.shop = people.shop
            and sold_out.item = people.item
            and sold_out.spell_number = people.spell_number
    left join rates on sold_out.shop = rates.shop and sold_out.product_id = rates.product_id
    left join values_of_orders
        on sold_out.shop = values_of_orders.shop and sold_out.product_id = values_of_orders.product_id
    where sold_out.views > 0

),

missed as (

    select
        *,
        greatest(expected_orders - people_bought, 0) as missed_orders,
        greatest(floor(expected_orders - {{ z }} * standard_deviation) - people_bought, 0) as missed_orders_lower,
        greatest(ceil(expected_orders + {{ z }} * standard_deviation) - people_bought, 0) as missed_orders_upper
    from estimated

)

select
    missed.first_view_key,
    missed.shop,
    missed.product_id,
    missed.variant_id,
    missed.local_date,
    missed.sold_out_at,
    missed.first_viewed_at,
    missed.last_viewed_at,
    missed.back_in_stock_at,
    missed.views,
    missed.sessions,
    missed.people,
    missed.people_bought,
    case when missed.back_in_stock_at is not null then missed.people_came_back end as people_came_back,
    case when missed.back_in_stock_at is not null then cast(missed.people_bought_when_back as bigint) end
        as people_bought_when_back,
    missed.cases,
    missed.hits,
    {{ rounded("missed.rate", 9) }} as conversion_rate,
    {{ rounded("missed.missed_orders", 6) }} as missed_orders,
    cast(missed.missed_orders_lower as bigint) as missed_orders_lower,
    cast(missed.missed_orders_upper as bigint) as missed_orders_upper,
    shops.currency,
    {{ total('missed.missed_orders * missed.order_value') }} as missed_sales_amount,
    {{ total('missed.missed_orders_lower * missed.order_value') }} as missed_sales_lower_amount,
    {{ total('missed.missed_orders_upper * missed.order_value') }} as missed_sales_upper_amount
from missed
left join shops on missed.shop = shops.shop
