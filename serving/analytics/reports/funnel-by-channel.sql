-- title: Funnel by channel and device
-- description: The open funnel of each channel and device.
-- filters: channel, device
-- channel: Channel
-- device: Device
-- sessions: Sessions | count
-- viewed: Product viewed | share
-- carted: Added to cart | share
-- checked_out: Checkout started | share
-- purchased: Purchased | share

select
    channel,
    device,
    cast(sum(sessions) as bigint) as sessions,
    cast(sum(viewed) as double) / sum(sessions) as viewed,
    cast(sum(carted_open) as double) / sum(sessions) as carted,
    cast(sum(checked_out_open) as double) / sum(sessions) as checked_out,
    cast(sum(purchased_open) as double) / sum(sessions) as purchased
from analytics.funnel_daily
where
    shop = $shop
    and local_date between $first and $last
    and ($channel is null or channel = $channel)
    and ($device is null or device = $device)
group by channel, device
having sum(sessions) > 0
order by sessions desc, channel, device
