"""Requests from Shopify's webhooks, and the package for a person, checked by an independent search of the archive."""

import fcntl
import json
import re
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from ingestion.collector.webhooks import keep_webhook
from ingestion.data_folder import landing_folder
from ingestion.landing import archived_parts, read_lines
from ingestion.privacy.export import export_pending, exports_folder, remove_packages
from ingestion.privacy.files import erase_from_logs, erase_webhooks
from ingestion.privacy.identifiers import CLIENT, CUSTOMER, ORDER, TOKEN, Identifier, identifier, of_event
from ingestion.privacy.requests import (
    EXPORT,
    Request,
    connected_again,
    new_request,
    read_requests,
    take_webhooks,
    uninstalled_shops,
    waiting_webhooks,
    write_request,
)
from ingestion.privacy.suppression import Suppressions
from tests.conftest import PROJECT
from tests.landing_files import RECEIVED_AT
from tests.privacy.test_erasure import DEMO, RICHEST
from tests.privacy.warehouses import copy_of

SHOP = "a.myshopify.com"


def deliver(data, topic: str, body: dict, webhook_id: str = "w-1") -> None:
    headers = {
        b"x-shopify-topic": topic.encode(),
        b"x-shopify-shop-domain": SHOP.encode(),
        b"x-shopify-webhook-id": webhook_id.encode(),
    }
    keep_webhook(landing_folder(data) / "webhooks", headers, json.dumps(body).encode(), RECEIVED_AT, [SHOP])


@pytest.mark.parametrize("topic", ["customers/redact", "customers/data_request", "shop/redact", "app/uninstalled"])
def test_captured_webhooks_become_requests(shared_data, tmp_path, topic):
    example = (shared_data / "webhooks" / f"{topic.replace('/', '_')}.example.json").read_text()
    body = {**json.loads(example.replace("{shop}.myshopify.com", SHOP)), "myshopify_domain": SHOP}
    deliver(tmp_path, topic, body if topic == "app/uninstalled" else json.loads(example.replace("{shop}", "a")))
    assert len(waiting_webhooks(tmp_path)) == 1
    take_webhooks(tmp_path)
    assert waiting_webhooks(tmp_path) == []
    [request] = read_requests(tmp_path)
    assert (request.shop, request.topic, request.requested_at) == (SHOP, topic, RECEIVED_AT)
    assert request.due_at - request.requested_at == timedelta(days=30)
    assert request.whole_shop == (topic == "shop/redact")
    assert (uninstalled_shops(tmp_path) == {SHOP}) == (topic == "app/uninstalled")
    if topic.startswith("customers/"):
        assert request.identifiers == [
            Identifier(CUSTOMER, "191167"),
            *(Identifier(ORDER, order) for order in ("299938", "280263", "220458")),
        ]


def test_request_without_a_subject_is_done_with_the_reason(tmp_path):
    body = {"shop_domain": SHOP, "customer": {"id": None, "email": "a@example.com"}, "orders_to_redact": []}
    deliver(tmp_path, "customers/redact", body)
    take_webhooks(tmp_path)
    [request] = read_requests(tmp_path)
    assert request.status == "done"
    assert "neither a customer nor an order" in request.detail


def test_repeated_delivery_is_one_request(tmp_path):
    body = {"shop_domain": SHOP, "customer": {"id": 5}, "orders_to_redact": []}
    for _ in range(2):
        deliver(tmp_path, "customers/redact", body)
        take_webhooks(tmp_path)
    assert len(read_requests(tmp_path)) == 1


class Killed(BaseException):
    """As by kill -9: nothing cleans up."""


def test_what_killed_processes_left_of_webhooks_and_requests_is_removed(tmp_path, monkeypatch):
    """Nothing else would find it, and it may name people. What a living process is writing stays."""

    def die(path, target):
        raise Killed

    order = {"id": 82, "customer": {"id": 5}, "line_items": []}
    assert not Suppressions(tmp_path)  # writes its key
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", die)
        for write in (
            lambda: deliver(tmp_path, "orders/create", order),
            lambda: new_request(tmp_path, SHOP, EXPORT, [Identifier(CUSTOMER, "5")]),
        ):
            with pytest.raises(Killed):
                write()
    living = landing_folder(tmp_path) / "webhooks" / "orders-create" / ".w-2.json-0123abcd"
    with living.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert len(unfinished(tmp_path)) == 3
        take_webhooks(tmp_path)
        assert unfinished(tmp_path) == [living]


def unfinished(data: Path) -> list[Path]:
    return [path for path in data.rglob("*") if path.name.startswith(".w-") or path.suffix == ".tmp"]


def test_shop_that_connects_again_is_fetched_again(tmp_path):
    write_request(tmp_path, Request("r", SHOP, "app/uninstalled", RECEIVED_AT))
    assert uninstalled_shops(tmp_path) == {SHOP}
    connected_again(tmp_path, SHOP)
    assert uninstalled_shops(tmp_path) == set()


@pytest.mark.parametrize(
    ("kind", "stated", "value"),
    [
        (CUSTOMER, "gid://shopify/Customer/7100000000001", "7100000000001"),
        (CUSTOMER, 7100000000001, "7100000000001"),
        (CUSTOMER, 7100000000001.0, "7100000000001"),
        (ORDER, 2**53 + 1, "9007199254740993"),
        pytest.param(ORDER, 10**400, None, id="too long"),
        (ORDER, 1.5, None),
        (ORDER, True, None),
        (CUSTOMER, "Z2lkOi8vc2hvcGlmeS9DdXN0b21lci83MTAwMDAwMDAwMDAx", "7100000000001"),
        (ORDER, "gid://shopify/Order/82?key=1", "82"),
        (ORDER, "0082", "82"),
        (TOKEN, " abc ", "abc"),
        (TOKEN, "", None),
        (CUSTOMER, {"id": 1}, None),
    ],
)
def test_identifier_is_normalized_like_the_warehouse_does(kind, stated, value):
    assert identifier(kind, stated) == (value and Identifier(kind, value))


@pytest.mark.parametrize("digits", [400, 30_000])
def test_event_whose_order_id_is_too_long_keeps_its_other_identifiers(digits):
    order = b'{"id": %s, "customer": {"id": 9007199254740993}}' % (b"1" * digits)
    event = b'{"clientId": "c", "data": {"checkout": {"token": "t", "order": %s}}}' % order
    expected = [Identifier(CLIENT, "c"), Identifier(TOKEN, "t"), Identifier(CUSTOMER, "9007199254740993")]
    assert of_event(event) == expected


@pytest.mark.parametrize("event", [b"", b"[]", b'{"data": {"checkout": 1}}', b'{"clientId": {}}', b"\xff", b'{"data":'])
def test_event_without_identifiers(event):
    assert of_event(event) == []


def test_webhooks_of_the_person_are_removed(tmp_path):
    order = {"id": 82, "customer": {"id": 5, "email": "x"}, "checkout_token": "t", "line_items": []}
    deliver(tmp_path, "orders/create", order, "w-1")
    deliver(tmp_path, "orders/create", {**order, "id": 83, "customer": {"id": 6}}, "w-2")
    assert erase_webhooks(landing_folder(tmp_path) / "webhooks", {SHOP: [Identifier(CUSTOMER, "5")]}, ()) == 1
    [left] = (landing_folder(tmp_path) / "webhooks").glob("*/*.json")
    assert left.name == "w-2.json"


def test_logs_and_run_history_lose_long_identifiers_only(tmp_path):
    import sqlite3

    folder = tmp_path / "dagster"
    folder.mkdir()
    (folder / "refresh.log").write_text("failed at token-4711, customer 7100000000001 and 7100000000001x; t\n")
    with sqlite3.connect(folder / "runs.db") as database:
        database.execute("create table event_logs (id integer primary key, event text)")
        database.execute("insert into event_logs (event) values ('error: 7100000000001'), ('fine')")
    erase_from_logs(tmp_path, {"token-4711", "7100000000001", "t"})
    assert (folder / "refresh.log").read_text() == "failed at [erased], customer [erased] and 7100000000001x; t\n"
    with sqlite3.connect(folder / "runs.db") as database:
        assert database.execute("select event from event_logs").fetchall() == [("error: [erased]",), ("fine",)]
    assert b"7100000000001" not in (folder / "runs.db").read_bytes()


def test_package_holds_what_an_independent_search_finds(built_demo, tmp_path):
    demo = copy_of(built_demo, tmp_path / "demo", PROJECT / "shops.toml")
    [(customer,)] = demo.query(RICHEST)
    request = new_request(demo.data, DEMO, EXPORT, [Identifier(CUSTOMER, customer)])
    assert export_pending(demo.data) == 1
    folder = exports_folder(demo.data) / request.request_id
    assert folder.parent.stat().st_mode & 0o077 == 0
    # All events that mention the customer, then all that mention the clients and tokens of those events.
    lines = [line for part in archived_parts(landing_folder(demo.data)) for line in read_lines(part)]
    known, found = {customer}, set()
    while True:
        pattern = re.compile("|".join(f'"[^"]*{re.escape(value)}"' for value in known).encode())
        events = {line for line in lines if pattern.search(line)}
        if events == found:
            break
        found = events
        for line in found:
            event = msgspec.json.decode(line)["event"]
            data = event.get("data")
            checkout = data.get("checkout") if isinstance(data, dict) else None
            known |= {value for value in (event.get("clientId"), checkout and checkout.get("token")) if value}
    packed = json.loads((folder / "raw_events.json").read_text())
    stated = {msgspec.json.decode(line)["event"]["id"] for line in found}
    assert {event["event"]["id"] for event in packed} == stated
    assert len(stated) > 50
    orders = json.loads((folder / "core.orders.json").read_text())
    assert {order["customer_id"] for order in orders} - {None} == {customer}  # one may have been placed as a guest
    readme = (folder / "README.txt").read_text()
    assert "core.orders" in readme and customer not in readme
    remove_packages(demo.data, DEMO, [Identifier(CUSTOMER, customer)])
    assert not folder.exists()
