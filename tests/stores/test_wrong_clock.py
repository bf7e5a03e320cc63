"""A landing line received in 2200 by a server with a wrong clock does not move the shop's as_of."""

from datetime import UTC, datetime

SHOP = 'timezone = "UTC"\ncurrency = "EUR"\n'


def view(event_id, timestamp) -> dict:
    product = {"id": "7", "title": "Lamp", "untranslatedTitle": "Lamp", "url": "/products/lamp"}
    return {
        "id": event_id,
        "name": "product_viewed",
        "clientId": event_id,
        "timestamp": timestamp,
        "type": "standard",
        "data": {"productVariant": {"id": "70", "price": {"amount": 5, "currencyCode": "EUR"}, "product": product}},
    }


EVENTS = [
    view("usual", "2026-11-23T10:00:00.000Z"),
    view("received in 2200", "2026-11-23T11:00:00.000Z"),
    view("sent in 2200", "2200-01-01T00:00:00.000Z"),
]
RECEIVED_AT = {"received in 2200": datetime(2200, 1, 1, tzinfo=UTC)}


def test_as_of_ignores_times_from_wrong_clocks(store):
    found = store.query("select as_of from intermediate.int_as_of where shop = '{shop}'")
    assert found == [(datetime(2026, 11, 24, 12),)]  # UTC


def test_an_event_received_by_a_wrong_clock_counts(store):
    found = store.query("select client_id from core.product_views where shop = '{shop}' order by all")
    assert found == [("received in 2200",), ("usual",)]


def test_an_event_sent_by_a_wrong_clock_is_quarantined(store):
    [(event_id, reason)] = store.query(
        "select event_id, reason from operations.quarantined_events where shop = '{shop}'"
    )
    assert event_id == "sent in 2200"
    assert reason.startswith("the timestamp is in the future: ")


def test_rankings_of_the_last_days_are_not_empty(store):
    found = store.query(
        "select product_id, hits from analytics.product_rankings "
        "where shop = '{shop}' and ranking = 'viewed' and window_days = 7"
    )
    assert found == [("7", 2)]
