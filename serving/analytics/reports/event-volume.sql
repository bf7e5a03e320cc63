-- title: Events received
-- description: Events by date, and how many came without a client, without known consent, or more than an hour or a day late.
-- filters:
-- local_date: Date
-- events: Events | count
-- events_without_client: Without a client | count
-- events_with_unknown_consent: Consent unknown | count
-- events_over_an_hour_late: Over an hour late | count
-- events_over_a_day_late: Over a day late | count

select
    local_date,
    events,
    events_without_client,
    events_with_unknown_consent,
    events_over_an_hour_late,
    events_over_a_day_late
from operations.event_volume
where shop = $shop and local_date between $first and $last
order by local_date
