-- title: Carts by state
-- description: Sessions that added to the cart, by the current state of the cart.
-- filters: channel, device
-- cart_state: State
-- carts: Carts | count
-- share: Share of carts | share
-- currency: Currency
-- cart_amount: Value | money

with

carts as (

    select * from analytics.carts
    where
        shop = $shop
        and local_date between $first and $last
        and ($channel is null or channel = $channel)
        and ($device is null or device = $device)

)

select
    cart_state,
    count(*) as carts,
    cast(count(*) as double) / (select count(*) from carts) as share,
    currency,
    sum(cart_amount) as cart_amount
from carts
group by cart_state, currency
order by carts desc, cart_state, currency
