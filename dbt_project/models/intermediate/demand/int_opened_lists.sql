{#-
    The collection pages and search results that sessions opened in the longest window, and the products opened from them.
    A product counts as opened from the last list before it if its referrer is that list's page. If either address is
    unknown, the product must be the next one that the session viewed after the list.
-#}

with

windows as (

    select * from {{ ref('int_windows') }}
    where window_days = {{ var('window_days') | max }}

),

sessions as (

    select
        sessions.session_id,
        visits.journey_id
    from {{ ref('int_sessions') }} as sessions
    inner join {{ ref('int_visits') }} as visits on sessions.session_id = visits.session_id
    where not sessions.is_bot and (sessions.collection_views > 0 or sessions.searches > 0)

),

events as (

    select
        events.event_key,
        events.shop,
        events.event_id,
        events.event_at,
        events.event_sequence,
        events.local_date,
        events.session_id,
        sessions.journey_id,
        events.event_name,
        {{ page_address('events.page_url') }} as page_address,
        concat_ws('', '?', coalesce(events.page_query, ''), '&', coalesce(events.page_url, '')) as query,
        {{ page_address('events.referrer_url') }} as referrer_address,
        events.product_id,
        events.collection_id,
        events.collection_title,
        {{ search_term('events.search_query') }} as term,
        events.listed_product_ids
    from {{ ref('int_events') }} as events
    inner join windows
        on events.shop = windows.shop and events.local_date between windows.first_date and windows.last_date
    inner join sessions on events.session_id = sessions.session_id
    where events.event_name in ('collection_viewed', 'search_submitted', 'product_viewed')

),

in_order as (

    select
        *,
        {{ last_known("case when event_name <> 'product_viewed' then event_key end") }} over (
            partition by session_id
            order by {{ event_order() | join(', ') }}
            rows between unbounded preceding and current row
        ) as list_event_key,
        lag(event_name) over (partition by session_id order by {{ event_order() | join(', ') }}) as previous_event_name
    from events

),

opened as (

    select
        in_order.*,
        lists.event_name as list_event_name,
        lists.page_address as list_address,
        coalesce(lists.collection_id, lists.term) as list_id,
        lists.collection_title as list_title,
        -- The event lists only its own page: the first product of page 2 is not the first of the list.
        case
            when not {{ matches('lists.query', "'[?&]page=0*([2-9]|1[0-9])'") }} then lists.listed_product_ids
        end as first_page_product_ids
    from in_order
    inner join in_order as lists on in_order.list_event_key = lists.event_key

)

select
    event_key,
    list_event_key,
    shop,
    session_id,
    journey_id,
    event_id,
    event_at,
    event_sequence,
    local_date,
    case when list_event_name = 'search_submitted' then 'search' else 'collection' end as list_kind,
    list_id,
    list_title,
    event_name = 'product_viewed' as is_click,
    case when event_name = 'product_viewed' then product_id end as product_id,
    case
        when event_name = 'product_viewed'
            then coalesce(
                -- Shopify's own search results add the position to the product's address.
                case
                    when list_event_name = 'search_submitted'
                        then {{ whole_number("nullif(regexp_extract(query, '[?&]_pos=([0-9]+)', 1), '')") }}
                end,
                {{ place_in_list('first_page_product_ids', 'product_id') }}
            )
    end as position,
    case when event_name <> 'product_viewed' then listed_product_ids end as listed_product_ids,
    case when event_name <> 'product_viewed' then first_page_product_ids end as first_page_product_ids
from opened
where
    event_name <> 'product_viewed'
    or case
        when referrer_address is not null and list_address is not null then referrer_address = list_address
        else previous_event_name <> 'product_viewed'
    end
