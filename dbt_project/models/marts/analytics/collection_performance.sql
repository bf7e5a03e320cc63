{#- Only the longest window, because positions have few clicks. -#}

{% set levels = {
    'collection': [],
    'product': ['product_id'],
    'position': ['product_id', 'position'],
} %}

with

shops as (

    select
        shop,
        coalesce(currency, 'unknown') as currency
    from {{ ref('shops') }}

),

events as (

    select
        *,
        list_id as collection_id
    from {{ ref('int_opened_lists') }}
    where list_kind = 'collection' and list_id is not null

),

items as (

    select
        orders.order_key,
        orders.session_id,
        orders.ordered_at,
        coalesce(orders.currency, 'unknown') as currency,
        lines.product_id,
        lines.quantity,
        lines.amount
    from {{ ref('orders') }} as orders
    inner join {{ ref('int_order_lines') }} as lines on orders.event_key = lines.event_key
    where not orders.is_test and not orders.is_bot and orders.session_id is not null

),

views as (

    select * from events
    where not is_click

),

listings as (

    {{ numbered_elements(
        'views', 'first_page_product_ids', ['event_key', 'shop', 'collection_id', 'session_id']
    ) }}

),

-- A product that is listed twice, such as by two of its variants, counts at its first position.
listed as (

    select
        event_key,
        shop,
        collection_id,
        session_id,
        element as product_id,
        min(element_number) as position
    from listings
    where element is not null
    group by event_key, shop, collection_id, session_id, element

),

clicks as (

    select * from events
    where is_click and product_id is not null

),

-- A sale counts once per collection, at the position of the session's first click on the product.
first_clicks as (

    select
        *,
        row_number() over (
            partition by session_id, collection_id, product_id order by {{ event_order() | join(', ') }}
        ) as click_number
    from clicks

),

sales as (

    select
        clicks.shop,
        clicks.collection_id,
        clicks.product_id,
        clicks.position,
        items.currency,
        items.order_key,
        items.quantity,
        items.amount
    from first_clicks as clicks
    inner join items
        on
            clicks.session_id = items.session_id
            and clicks.product_id = items.product_id
            and clicks.event_at <= items.ordered_at
    where clicks.click_number = 1

),

titles as (

    select
        shop,
        collection_id,
        {{ latest('list_title', ['event_at', 'event_key']) }} as title
    from views
    where list_title is not null
    group by shop, collection_id

),

measured as (

    {% for level, columns in levels.items() %}
        {% set keys = ['shop', 'collection_id'] + columns %}
        {% set filled = {
            'product_id': 'product_id' if 'product_id' in columns else 'cast(null as ' ~ dbt.type_string() ~ ')',
            'position': 'position' if 'position' in columns else 'cast(null as bigint)',
        } %}
        select
            shop,
            '{{ level }}' as level,
            collection_id,
            {{ filled.product_id }} as product_id,
            {{ filled.position }} as position,
            cast(null as {{ dbt.type_string() }}) as currency,
            count(*) as views,
            count(distinct session_id) as sessions,
            0 as clicks,
            0 as views_clicked,
            0 as orders,
            0 as units,
            cast(null as decimal(38, 4)) as sales_amount
        from {{ 'listed' if columns else 'views' }}
        group by {{ keys | join(', ') }}

        union all

        select
            shop,
            '{{ level }}' as level,
            collection_id,
            {{ filled.product_id }} as product_id,
            {{ filled.position }} as position,
            cast(null as {{ dbt.type_string() }}) as currency,
            0 as views,
            0 as sessions,
            count(*) as clicks,
            count(distinct case when position is not null or '{{ level }}' = 'collection' then list_event_key end)
                as views_clicked,
            0 as orders,
            0 as units,
            null as sales_amount
        from clicks
        {{ 'where position is not null' if level == 'position' }}
        group by {{ keys | join(', ') }}

        union all

        select
            shop,
            '{{ level }}' as level,
            collection_id,
            {{ filled.product_id }} as product_id,
            {{ filled.position }} as position,
            currency,
            0 as views,
            0 as sessions,
            0 as clicks,
            0 as views_clicked,
            count(distinct order_key) as orders,
            sum(quantity) as units,
            {{ total('sum(amount)') }} as sales_amount
        from sales
        {{ 'where position is not null' if level == 'position' }}
        group by {{ (keys + ['currency']) | join(', ') }}
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

-- Counts without a currency go into the row of the shop's currency.
summed as (

    select
        measured.shop,
        measured.level,
        measured.collection_id,
        measured.product_id,
        measured.position,
        coalesce(measured.currency, shops.currency) as currency,
        sum(measured.views) as views,
        sum(measured.sessions) as sessions,
        sum(measured.clicks) as clicks,
        sum(measured.views_clicked) as views_clicked,
        sum(measured.orders) as orders,
        sum(measured.units) as units,
        sum(measured.sales_amount) as sales_amount
    from measured
    inner join shops on measured.shop = shops.shop
    group by
        measured.shop, measured.level, measured.collection_id, measured.product_id, measured.position,
        coalesce(measured.currency, shops.currency)

)

select
    summed.shop,
    summed.level,
    summed.collection_id,
    titles.title as collection_title,
    summed.product_id,
    cast(summed.position as bigint) as position,
    summed.currency,
    cast(summed.views as bigint) as views,
    cast(summed.sessions as bigint) as sessions,
    cast(summed.clicks as bigint) as clicks,
    cast(summed.views_clicked as double) / nullif(summed.views, 0) as click_rate,
    cast(summed.orders as bigint) as orders,
    cast(coalesce(summed.units, 0) as bigint) as units,
    {{ total('case when summed.orders = 0 then 0 else summed.sales_amount end') }} as sales_amount
from summed
left join titles on summed.shop = titles.shop and summed.collection_id = titles.collection_id
