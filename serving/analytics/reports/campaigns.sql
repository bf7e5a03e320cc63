-- title: Campaigns by attribution model
-- description: Sales of all orders, credited to the touches before them by five models side by side. Each model sums to the same total.
-- filters: channel
-- channel: Channel
-- utm_source: Source
-- utm_campaign: Campaign
-- sessions: Sessions | count
-- currency: Currency
-- first_touch_sales_amount: First touch | money
-- last_touch_sales_amount: Last touch | money
-- last_non_direct_sales_amount: Last non-direct | money
-- linear_sales_amount: Linear | money
-- position_based_sales_amount: Position-based | money

select
    channel,
    utm_source,
    utm_campaign,
    cast(sum(sessions) as bigint) as sessions,
    currency,
    sum(first_touch_sales_amount) as first_touch_sales_amount,
    sum(last_touch_sales_amount) as last_touch_sales_amount,
    sum(last_non_direct_sales_amount) as last_non_direct_sales_amount,
    sum(linear_sales_amount) as linear_sales_amount,
    sum(position_based_sales_amount) as position_based_sales_amount
from analytics.campaigns
where shop = $shop and local_date between $first and $last and ($channel is null or channel = $channel)
group by channel, utm_source, utm_campaign, currency
order by linear_sales_amount desc nulls last, sessions desc, channel, utm_source, utm_campaign, currency
limit 500
