-- title: Discounts
-- description: What each discount cost, who used it, and what these people bought later at full price. All time.
-- filters:
-- discount_kind: Kind
-- discount: Discount
-- orders: Orders | count
-- share_of_orders: Share of orders | share
-- new_orders: Of new customers | count
-- currency: Currency
-- discount_amount: Discounted | money
-- discount_depth: Depth | share
-- people: People | count
-- later_full_price_per_person: Later at full price, per person | money

select
    discount_kind,
    discount,
    orders,
    share_of_orders,
    new_orders,
    currency,
    discount_amount,
    discount_depth,
    people,
    later_full_price_per_person
from analytics.discounts
where shop = $shop
order by orders desc, discount_kind, discount, currency
