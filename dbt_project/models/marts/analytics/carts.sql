with

as_of as (

    select * from {{ ref('int_as_of') }}

),

sessions as (

    select * from {{ ref('int_sessions') }}
    where cart_adds > 0 and not is_bot

),

visits as (

    select * from {{ ref('int_visits') }}

),

products as (

    select * from {{ ref('int_cart_products') }}

),

orders as (

    select * from {{ ref('int_cart_orders') }}

),

contents as (

    select
        session_id,
        count(product_id) as products,
        sum(quantity_left) as units,
        min(currency) as currency,
        sum(amount_left) as amount
    from products
    group by session_id

)

select
    sessions.session_id,
    sessions.shop,
    visits.journey_id,
    sessions.local_date,
    sessions.channel,
    sessions.device,
    coalesce(contents.products, 0) as products,
    cast(coalesce(contents.units, 0) as bigint) as units,
    contents.currency,
    {{ total('case when contents.currency is not null then coalesce(contents.amount, 0) end') }} as cart_amount,
    sessions.last_cart_action_at,
    case
        when orders.is_own then 'converted'
        when orders.order_key is not null then 'recovered'
        when contents.units = 0 then 'emptied'
        when sessions.last_cart_action_at > as_of.as_of - interval '{{ var("cart_open_hours") }}' hour then 'open'
        else 'abandoned'
    end as cart_state,
    orders.order_key
from sessions
left join as_of on sessions.shop = as_of.shop
left join visits on sessions.session_id = visits.session_id
left join contents on sessions.session_id = contents.session_id
left join orders on sessions.session_id = orders.session_id
