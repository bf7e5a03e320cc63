-- title: Fetches from Shopify
-- description: The latest fetch of each kind of data from Shopify, with its error.
-- filters:
-- subject: Data
-- began_at: Began
-- ended_at: Ended
-- rows_fetched: Rows | count
-- warning: Warning
-- error: Error

select
    subject,
    began_at,
    ended_at,
    rows_fetched,
    warning,
    error
from operations.fetches
where shop = $shop and is_newest
order by subject
