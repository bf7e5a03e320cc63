-- title: Collections
-- description: Views of each collection in the last 90 days, the products opened from it, and their orders later in the session.
-- filters:
-- collection_title: Collection
-- views: Views | count
-- sessions: Sessions | count
-- click_rate: With a click | share
-- orders: Orders | count
-- currency: Currency
-- sales_amount: Sales | money

select
    coalesce(collection_title, collection_id) as collection_title,
    views,
    sessions,
    click_rate,
    orders,
    currency,
    sales_amount
from analytics.collection_performance
where shop = $shop and level = 'collection'
order by views desc, collection_title, currency
