import json
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta

import jsonschema
import msgspec
import pytest
from crawleruseragents import is_crawler

from ingestion.collector.app import MAX_BODY_BYTES
from ingestion.simulator.catalogue import build_catalogue
from ingestion.simulator.shoppers import EVENTS_PER_DELIVERY, simulate

END = datetime(2026, 11, 22, 16, tzinfo=UTC)
BROKEN = "yesterday"


@pytest.fixture(scope="module")
def catalogue():
    return build_catalogue(1)


@pytest.fixture(scope="module")
def deliveries(shop, catalogue):
    return simulate(shop, catalogue, 1, END).deliveries


@pytest.fixture(scope="module")
def events(deliveries):
    return [event for delivery in deliveries for event in delivery.events]


def happened_at(event) -> datetime:
    return datetime.fromisoformat(event["timestamp"])


def test_the_same_seed_and_end_give_the_same_events(shop, deliveries):
    assert simulate(shop, build_catalogue(1), 1, END).deliveries == deliveries
    assert simulate(shop, build_catalogue(2), 2, END).deliveries != deliveries


def test_windows_that_overlap_hold_the_same_events(shop, catalogue, deliveries):
    later = simulate(shop, catalogue, 1, END + timedelta(days=1)).deliveries
    shared_window = (END - timedelta(days=29), END - timedelta(days=4))

    def within(found):
        return {
            event["id"]
            for delivery in found
            for event in delivery.events
            if event["timestamp"] != BROKEN and shared_window[0] <= happened_at(event) < shared_window[1]
        }

    assert within(deliveries) == within(later) != set()


def test_a_month_is_about_3000_sessions_and_25000_events(events):
    assert 22_000 < len(events) < 30_000
    times = defaultdict(list)
    for event in {event["id"]: event for event in events if event["timestamp"] != BROKEN}.values():
        times[event["clientId"]].append(happened_at(event))
    gap = timedelta(minutes=30)
    sessions = sum(
        1 + sum(later - earlier > gap for earlier, later in zip(sorted(found), sorted(found)[1:], strict=False))
        for found in times.values()
    )
    assert 2_500 < sessions < 3_500


def test_every_event_has_the_shape_that_shopify_publishes(events, shared_data):
    validator = jsonschema.Draft7Validator(json.loads((shared_data / "pixel_schema_lenient.json").read_text()))
    assert list(validator.iter_errors({}))
    seen = Counter()
    for event in events:
        seen[event["name"]] += 1
        if seen[event["name"]] <= 40:
            validator.validate(event)
    assert len(seen) == 13


def test_a_delivery_is_what_one_request_may_carry(deliveries):
    assert max(len(delivery.events) for delivery in deliveries) == EVENTS_PER_DELIVERY
    assert max(len(msgspec.json.encode(delivery.body)) for delivery in deliveries) < MAX_BODY_BYTES


def test_the_odd_cases_of_a_real_store_are_there(deliveries, events):
    assert any(not delivery.consent["analyticsProcessingAllowed"] for delivery in deliveries)
    assert len({event["id"] for event in events}) < len(events), "no repeated delivery"
    assert any(event["timestamp"] == BROKEN for event in events)
    agents = {event["context"]["navigator"]["userAgent"] for event in events}
    assert {is_crawler(agent) for agent in agents} == {True, False}
    newest = max(happened_at(event) for event in events if event["timestamp"] != BROKEN)
    assert any(delivery.sent_at > newest for delivery in deliveries), "no late delivery"
    orders = [event["data"]["checkout"]["order"]["id"] for event in events if event["name"] == "checkout_completed"]
    assert len(set(orders)) < len(orders), "no reloaded thank-you page"


def test_customers_come_back_on_another_device(events):
    clients = defaultdict(set)
    for event in events:
        if event["name"] == "checkout_completed" and (customer := event["data"]["checkout"]["order"]["customer"]):
            clients[customer["id"]].add(event["clientId"])
    assert any(len(found) > 1 for found in clients.values())


def test_the_catalogue_has_what_must_not_be_recommended(catalogue):
    assert len(catalogue.products) == 304
    assert any(not product.is_published for product in catalogue.products)
    assert any(not product.in_stock for product in catalogue.products)
    assert len({product.handle for product in catalogue.products}) == len(catalogue.products)
    for companion in catalogue.companions.values():
        assert companion.is_published
        assert companion.in_stock


def test_a_checkout_adds_up_to_the_cent(events):
    checkouts = [event["data"]["checkout"] for event in events if event["name"] == "checkout_completed"]

    def cents(money):
        return round(money["amount"] * 100)

    for checkout in checkouts:
        assert sum(cents(item["finalLinePrice"]) for item in checkout["lineItems"]) == cents(checkout["subtotalPrice"])
        parts = (
            cents(checkout["subtotalPrice"]) + cents(checkout["shippingLine"]["price"]) + cents(checkout["totalTax"])
        )
        assert parts == cents(checkout["totalPrice"])
    assert any(checkout["discountApplications"] for checkout in checkouts)
