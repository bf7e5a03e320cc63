-- title: Quarantined events
-- description: Events that could not be used, by reason, with the newest example.
-- filters:
-- reason: Reason
-- events: Events | count
-- newest_received_at: Newest
-- example: Example

select
    reason,
    count(*) as events,
    max(received_at) as newest_received_at,
    left(max_by(content, (received_at, quarantine_key)), 300) as example
from operations.quarantined_events
where shop = $shop
group by reason
order by events desc, reason
