with

windows as (

    select * from {{ ref('int_windows') }}

),

shops as (

    select
        shop,
        coalesce(currency, 'unknown') as currency
    from {{ ref('shops') }}

),

events as (

    select * from {{ ref('int_opened_lists') }}

),

orders as (

    select * from {{ ref('orders') }}
    where not is_test and not is_bot

),

submitted as (

    select
        *,
        lag(list_id) over (
            partition by session_id order by {{ event_order() | join(', ') }}
        ) as previous_term
    from events
    where list_kind = 'search' and not is_click and list_id is not null

),

-- The same term again is the same search: a reload, a return from a product, or the next page of results.
numbered as (

    select
        *,
        sum(case when previous_term = list_id then 0 else 1 end) over (
            partition by session_id
            order by {{ event_order() | join(', ') }}
            rows between unbounded preceding and current row
        ) as search_number
    from submitted

),

clicks as (

    select
        list_event_key,
        count(*) as clicks
    from events
    where list_kind = 'search' and is_click
    group by list_event_key

),

searches as (

    select
        numbered.shop,
        numbered.session_id,
        min(numbered.journey_id) as journey_id,
        numbered.search_number,
        min(numbered.list_id) as term,
        min(numbered.event_at) as searched_at,
        min(numbered.local_date) as local_date,
        count(*) as submissions,
        -- A later page of results may be empty.
        max({{ number_of_elements('numbered.listed_product_ids') }}) as results,
        coalesce(sum(clicks.clicks), 0) as clicks
    from numbered
    left join clicks on numbered.event_key = clicks.list_event_key
    group by numbered.shop, numbered.session_id, numbered.search_number

),

with_next as (

    select
        *,
        -- Another search after a click is not a refinement.
        case
            when clicks = 0 then lead(term) over (partition by session_id order by search_number)
        end as refined_to
    from searches

),

in_windows as (

    select
        windows.window_days,
        with_next.*
    from with_next
    inner join windows
        on
            with_next.shop = windows.shop
            and with_next.local_date between windows.first_date and windows.last_date

),

counted as (

    select
        shop,
        window_days,
        term,
        count(*) as searches,
        sum(submissions) as submissions,
        count(distinct session_id) as sessions,
        count(distinct journey_id) as people,
        count(results) as searches_with_known_results,
        count(*) filter (where results = 0) as searches_without_result,
        count(*) filter (where clicks = 0) as searches_without_click,
        sum(clicks) as clicks,
        count(refined_to) as searches_refined
    from in_windows
    group by shop, window_days, term

),

refined as (

    select
        shop,
        window_days,
        term,
        refined_to,
        count(*) as searches,
        row_number() over (partition by shop, window_days, term order by count(*) desc, refined_to) as refined_rank
    from in_windows
    where refined_to is not null
    group by shop, window_days, term, refined_to

),

-- Once per term, however often the session searched for it.
ordered as (

    select distinct
        in_windows.shop,
        in_windows.window_days,
        in_windows.term,
        orders.order_key,
        coalesce(orders.currency, 'unknown') as currency,
        orders.gross_total_amount
    from in_windows
    inner join orders
        on in_windows.session_id = orders.session_id and orders.ordered_at >= in_windows.searched_at

),

sold as (

    select
        shop,
        window_days,
        term,
        currency,
        count(*) as orders,
        sum(gross_total_amount) as sales_amount
    from ordered
    group by shop, window_days, term, currency

),

currencies as (

    select
        counted.shop,
        counted.window_days,
        counted.term,
        shops.currency
    from counted
    inner join shops on counted.shop = shops.shop

    union

    select
        shop,
        window_days,
        term,
        currency
    from sold

)

select
    {{ surrogate_key(['currencies.shop', 'currencies.window_days', 'currencies.term', 'currencies.currency']) }}
        as search_key,
    currencies.shop,
    cast(currencies.window_days as bigint) as window_days,
    currencies.term,
    currencies.currency,
    coalesce(counted.searches, 0) as searches,
    cast(coalesce(counted.submissions, 0) as bigint) as submissions,
    coalesce(counted.sessions, 0) as sessions,
    coalesce(counted.people, 0) as people,
    coalesce(counted.searches_with_known_results, 0) as searches_with_known_results,
    case when counted.searches_with_known_results > 0 then counted.searches_without_result end
        as searches_without_result,
    coalesce(counted.searches_without_click, 0) as searches_without_click,
    cast(coalesce(counted.clicks, 0) as bigint) as clicks,
    coalesce(counted.searches_refined, 0) as searches_refined,
    refined.refined_to,
    cast(counted.searches_without_result as double) / nullif(counted.searches_with_known_results, 0)
        as no_result_rate,
    cast(counted.searches - counted.searches_without_click as double) / counted.searches as click_rate,
    coalesce(sold.orders, 0) as orders,
    {{ total('case when coalesce(sold.orders, 0) = 0 then 0 else sold.sales_amount end') }} as sales_amount
from currencies
left join shops on currencies.shop = shops.shop and currencies.currency = shops.currency
left join counted
    on
        shops.shop = counted.shop
        and currencies.window_days = counted.window_days
        and currencies.term = counted.term
left join refined
    on
        shops.shop = refined.shop
        and currencies.window_days = refined.window_days
        and currencies.term = refined.term
        and refined.refined_rank = 1
left join sold
    on
        currencies.shop = sold.shop
        and currencies.window_days = sold.window_days
        and currencies.term = sold.term
        and currencies.currency = sold.currency
