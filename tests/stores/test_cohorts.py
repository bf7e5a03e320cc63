"""A shop without visitors for weeks: cohorts and retention still have a row for every period."""

from datetime import date, timedelta
from decimal import Decimal

SHOP = 'timezone = "Pacific/Auckland"\ncurrency = "NZD"\n'
TODAY = date(2026, 11, 25)  # Auckland is 13 hours ahead of as_of


def order(number, timestamp, amount) -> dict:
    return {
        "id": f"order {number}",
        "name": "checkout_completed",
        "clientId": "c",
        "timestamp": timestamp,
        "type": "standard",
        "data": {
            "checkout": {
                "token": f"t{number}",
                "currencyCode": "NZD",
                "order": {"id": str(number), "customer": {"id": "11"}},
                "totalPrice": {"amount": amount},
            }
        },
    }


EVENTS = [
    order(1, "2026-04-30T12:30:00.000Z", 10),  # on the first of May in Auckland
    order(2, "2026-07-10T00:00:00.000Z", 20),
    {"id": "v", "name": "page_viewed", "clientId": "d", "timestamp": "2026-10-04T12:00:00.000Z", "data": {}},
]


def test_every_month_until_today_has_its_row(store):
    found = store.query(
        "select months_since, active_members, orders, cumulative_sales_amount from analytics.cohorts "
        "where shop = '{shop}' and cohort_kind = 'customers' and segment_kind = 'all' order by months_since"
    )
    active = [1, 0, 1, 0, 0, 0, 0]  # May to November
    sales = [10, 10, 30, 30, 30, 30, 30]
    assert found == [(n, active[n], active[n], Decimal(sales[n])) for n in range(7)]


def test_every_segment_of_a_cohort_has_every_month(store):
    found = store.query(
        "select cohort_kind, segment_kind, cohort_month, count(*), max(months_since) from analytics.cohorts "
        "where shop = '{shop}' group by all order by all"
    )
    may, october = date(2026, 5, 1), date(2026, 10, 1)
    segments = ("all", "channel", "device")
    assert found == sorted(
        [("customers", segment, may, 7, 6) for segment in segments]
        + [("visitors", segment, may, 7, 6) for segment in segments]
        + [("visitors", segment, october, 2, 1) for segment in segments]
    )


def test_every_week_until_today_has_its_row(store):
    found = store.query(
        "select cohort_week, activity_week, weeks_since, active_members, sessions from analytics.retention "
        "where shop = '{shop}' order by all"
    )
    expected = []
    for first_week, active in ((date(2026, 4, 27), (date(2026, 4, 27), date(2026, 7, 6))), (date(2026, 10, 5), ())):
        week, weeks_since = first_week, 0
        while week <= TODAY:
            visits = int(week in active or week == first_week)
            expected.append((first_week, week, weeks_since, visits, visits))
            week, weeks_since = week + timedelta(days=7), weeks_since + 1
    assert found == expected
