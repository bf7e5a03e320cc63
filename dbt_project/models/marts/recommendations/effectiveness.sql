{#-
    Lists, products and clicks are dated by the day the list was seen, cart adds and sales by the day they happened, so
    that sales compare with daily_sales. Distinct lists, products and orders are not additive: totals are separate rows,
    distinguished by `level`.
-#}

{% set day = ['shop', 'local_date', 'source'] %}
{% set place = ['placement', 'strategy', 'position'] %}
{% set counts = [
    'lists_seen', 'lists_clicked', 'items_seen', 'items_clicked', 'products_seen', 'products_clicked',
    'catalogue_products_seen', 'catalogue_products_clicked', 'cart_adds',
    'direct_orders', 'direct_units', 'view_through_orders', 'view_through_units'
] %}
{% set amounts = [
    'direct_gross_sales', 'direct_net_sales', 'view_through_gross_sales', 'view_through_net_sales'
] %}
{% set measures = ['currency'] + counts + amounts %}

with

listed as (

    select * from {{ ref('int_listed_products') }}

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

eligible as (

    select
        shop,
        product_id
    from {{ ref('eligibility') }}
    where is_eligible

),

catalogue as (

    select
        shop,
        count(*) as catalogue_products
    from eligible
    group by shop

),

-- Millions of products in lists become fewer rows before they are counted at every level.
products as (

    select
        {% for column in day + place %}
            listed.{{ column }},
        {% endfor %}
        listed.product_id,
        eligible.product_id as catalogue_product_id,
        count(*) as items_seen,
        count(*) filter (where listed.is_clicked) as items_clicked
    from listed
    left join eligible on listed.shop = eligible.shop and listed.product_id = eligible.product_id
    group by
        {% for column in day + place %}
            listed.{{ column }},
        {% endfor %}
        listed.product_id, eligible.product_id

),

strategies_of_lists as (

    select
        {{ day | join(', ') }},
        placement,
        strategy,
        list_id,
        max(case when is_clicked then 1 else 0 end) as clicked
    from listed
    group by {{ day | join(', ') }}, placement, strategy, list_id

),

lists as (

    select
        {{ day | join(', ') }},
        placement,
        list_id,
        max(clicked) as clicked
    from strategies_of_lists
    group by {{ day | join(', ') }}, placement, list_id

),

measured as (

    {{ levels_of(day, place, measures, 'products', {
        'items_seen': 'sum(items_seen)',
        'items_clicked': 'sum(items_clicked)',
        'products_seen': 'count(distinct product_id)',
        'products_clicked': 'count(distinct case when items_clicked > 0 then product_id end)',
        'catalogue_products_seen': 'count(distinct catalogue_product_id)',
        'catalogue_products_clicked': 'count(distinct case when items_clicked > 0 then catalogue_product_id end)',
    }, [3, 2, 1, 0]) }}

    union all

    -- A list has one product per position.
    {{ levels_of(day, place, measures, 'products', {'lists_seen': 'sum(items_seen)', 'lists_clicked': 'sum(items_clicked)'}, [3]) }}

    union all

    {{ levels_of(
        day, place, measures,
        'strategies_of_lists',
        {'lists_seen': 'count(*)', 'lists_clicked': 'sum(clicked)'},
        [2]
    ) }}

    union all

    {{ levels_of(
        day, place, measures,
        'lists',
        {'lists_seen': 'count(*)', 'lists_clicked': 'sum(clicked)'},
        [1, 0]
    ) }}

    union all

    {{ levels_of(day, place, measures, 'outcomes', {
        'currency': 'currency',
        'cart_adds': "count(*) filter (where outcome = 'cart_add')",
        'direct_orders': "count(distinct case when attribution = 'direct' then order_key end)",
        'direct_units': "sum(quantity) filter (where outcome = 'order' and attribution = 'direct')",
        'direct_gross_sales': "sum(amount) filter (where attribution = 'direct')",
        'direct_net_sales': "sum(net_amount) filter (where attribution = 'direct')",
        'view_through_orders': "count(distinct case when attribution = 'view_through' then order_key end)",
        'view_through_units': "sum(quantity) filter (where attribution = 'view_through')",
        'view_through_gross_sales': "sum(amount) filter (where attribution = 'view_through')",
        'view_through_net_sales': "sum(net_amount) filter (where attribution = 'view_through')",
    }, [3, 2, 1, 0]) }}

),

-- Counts without a currency go into the row of the shop's currency.
summed as (

    select
        {% for column in day + ['level'] + place %}
            measured.{{ column }},
        {% endfor %}
        coalesce(measured.currency, shops.currency) as currency,
        {% for measure in counts %}
            cast(coalesce(sum(measured.{{ measure }}), 0) as bigint) as {{ measure }},
        {% endfor %}
        {% for measure in amounts %}
            {{ total('coalesce(sum(measured.' ~ measure ~ '), 0)') }} as {{ measure }}{{ "," if not loop.last }}
        {% endfor %}
    from measured
    inner join shops on measured.shop = shops.shop
    group by
        {% for column in day + ['level'] + place %}
            measured.{{ column }},
        {% endfor %}
        coalesce(measured.currency, shops.currency)

)

select
    {% for column in day + ['level'] + place %}
        summed.{{ column }},
    {% endfor %}
    summed.currency,
    summed.lists_seen,
    summed.lists_clicked,
    cast(summed.lists_clicked as double) / nullif(summed.lists_seen, 0) as click_through_rate,
    summed.items_seen,
    summed.items_clicked,
    cast(summed.items_clicked as double) / nullif(summed.items_seen, 0) as item_click_rate,
    summed.products_seen,
    summed.products_clicked,
    cast(summed.catalogue_products_seen as double) / nullif(catalogue.catalogue_products, 0) as catalogue_seen_share,
    cast(summed.catalogue_products_clicked as double) / nullif(catalogue.catalogue_products, 0)
        as catalogue_clicked_share,
    summed.cart_adds,
    summed.direct_orders,
    summed.direct_units,
    summed.direct_gross_sales,
    summed.direct_net_sales,
    summed.view_through_orders,
    summed.view_through_units,
    summed.view_through_gross_sales,
    summed.view_through_net_sales,
    cast({{ var('attribution_click_days') }} as bigint) as attribution_click_days,
    cast({{ var('attribution_view_days') }} as bigint) as attribution_view_days
from summed
left join catalogue on summed.shop = catalogue.shop
