"""Why Shopify's orders differ from ours: the causes are those that were planted, and add up to the difference."""

import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.simulator.orders import PlacedOrder
from orchestration.parsed_dbt import parsed_project
from tests.questions import demo_simulation
from tests.warehouse import DBT_PROJECT, TARGET

NEW_YORK = ZoneInfo("America/New_York")
SHOP = "s.myshopify.com"
BEGIN, DAYS = datetime(2026, 11, 1, tzinfo=UTC), 6
TABLES = """
create schema intermediate; create schema staging; create schema raw_shopify; create schema core;
create schema operations;
create table core.shops as select 's.myshopify.com' as shop, 'America/New_York' as timezone;
create table raw_shopify.fetches (shop varchar, subject varchar, began_at timestamptz, error varchar);
create table intermediate.int_sessions (shop varchar, client_id varchar, local_date date, started_at timestamp);
create table intermediate.int_checkouts (shop varchar, checkout_token varchar);
create table intermediate.int_orders_deduplicated (
    order_key varchar, shop varchar, checkout_token varchar, ordered_at timestamp, local_date date, currency varchar,
    total_amount decimal(18, 4)
);
create table staging.stg_shopify__orders (
    order_key varchar, shop varchar, checkout_token varchar, source_name varchar, is_test boolean, currency varchar,
    original_total_amount decimal(18, 4), total_amount decimal(18, 4), net_payment_amount decimal(18, 4),
    refunded_amount decimal(18, 4), created_at timestamp, processed_at timestamp, cancelled_at timestamp
);
"""


@dataclass(frozen=True)
class Order:
    """One order as the pixel saw it, as Shopify has it, or both. Times are UTC; None: not on that side, or unknown."""

    seen_at: datetime | None
    seen_amount: Decimal | None
    seen_currency: str | None
    placed_at: datetime | None
    checkout_amount: Decimal | None
    current_amount: Decimal | None
    currency: str | None
    source_name: str | None
    has_same_id: bool
    has_token: bool
    is_checkout_seen: bool
    is_test: bool
    is_cancelled: bool


moments = st.integers(0, DAYS * 24 * 60).map(lambda minutes: BEGIN + timedelta(minutes=minutes))
amounts = st.integers(-500, 20_000).map(lambda cents: Decimal(cents) / 100)
currencies = st.sampled_from(["USD", "EUR", "JPY"])


@st.composite
def orders(draw) -> Order:
    side = draw(st.sampled_from(["pixel", "shopify", "both", "both"]))
    is_seen, is_placed = side != "shopify", side != "pixel"
    placed_at = draw(moments)
    checkout_amount = draw(amounts)
    seen_at = draw(st.one_of(st.just(placed_at), moments))
    seen_amount = draw(st.one_of(st.just(checkout_amount), st.none(), amounts))
    currency = draw(currencies)
    return Order(
        seen_at=seen_at if is_seen else None,
        seen_amount=seen_amount if is_seen else None,
        seen_currency=draw(st.one_of(st.just(currency), st.none(), currencies)) if is_seen else None,
        placed_at=placed_at if is_placed else None,
        checkout_amount=draw(st.one_of(st.just(checkout_amount), st.none())) if is_placed else None,
        current_amount=draw(st.one_of(st.just(checkout_amount), st.none(), amounts)) if is_placed else None,
        currency=draw(st.one_of(st.just(currency), st.none())) if is_placed else None,
        source_name=draw(st.sampled_from(["web", "web", "pos", "shopify_draft_order", "subscription_contract", None])),
        has_same_id=draw(st.booleans()),
        has_token=draw(st.booleans()) or side == "both",
        is_checkout_seen=draw(st.booleans()),
        is_test=is_placed and draw(st.integers(0, 4)) == 0,
        is_cancelled=is_placed and draw(st.integers(0, 4)) == 0,
    )


@pytest.fixture(scope="module")
def connection(tmp_path_factory) -> Iterator[duckdb.DuckDBPyConnection]:
    """The tables that the marts read, empty, and the marts as views."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    before = dict(os.environ)
    os.environ |= {
        "PIXELNOVA_DATA": str(tmp_path_factory.mktemp("empty")),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    folders = ["--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT), "--target-path", TARGET]
    chosen = ["int_orders_reconciled", "reconciliation_causes"]
    selected = [f"{name},resource_type:model" for name in chosen]
    try:
        done = dbtRunner(parsed_project()).invoke(["compile", "--quiet", *folders, "--select", *selected])
    finally:
        DuckDBConnectionManager.close_all_connections()
        os.environ.clear()
        os.environ.update(before)
    assert done.success, done.exception
    with duckdb.connect() as opened:
        opened.execute(f"attach ':memory:' as warehouse; use warehouse; set timezone = 'UTC'; {TABLES}")
        nodes = {result.node.name: result.node for result in done.result.results}
        for node in (nodes[name] for name in chosen):
            opened.execute(f"create view {node.schema}.{node.alias} as {node.compiled_code}")
        yield opened


def causes_of(connection: duckdb.DuckDBPyConnection, planted: list[Order]) -> list[tuple[Any, ...]]:
    """Rows of the mart (local_date, currency, cause, source_name, orders, amount)."""
    connection.begin()
    try:
        connection.execute(
            "insert into raw_shopify.fetches values (?, 'orders', ?, null)", [SHOP, BEGIN + timedelta(days=DAYS - 1)]
        )
        first = BEGIN + timedelta(days=1)  # so that some orders are outside the comparison
        for client in ("c1", "c2"):
            connection.execute(
                "insert into intermediate.int_sessions values (?, ?, ?, ?)", [SHOP, client, first, first]
            )
        for number, order in enumerate(planted):
            _insert(connection, number, order)
        return connection.execute(
            "select local_date, currency, cause, source_name, orders, amount from operations.reconciliation_causes"
        ).fetchall()
    finally:
        connection.rollback()


def _insert(connection: duckdb.DuckDBPyConnection, number: int, order: Order) -> None:
    token = f"t{number}" if order.has_token else None
    if order.seen_at:
        key = f"o{number}" if order.has_same_id else f"p{number}"
        row = [key, SHOP, token, order.seen_at, _local(order.seen_at), order.seen_currency, order.seen_amount]
        connection.execute("insert into intermediate.int_orders_deduplicated values (?, ?, ?, ?, ?, ?, ?)", row)
    if order.is_checkout_seen and token:
        connection.execute("insert into intermediate.int_checkouts values (?, ?)", [SHOP, token])
    if order.placed_at:
        row = [
            *(f"o{number}", SHOP, token, order.source_name, order.is_test, order.currency),
            *(order.checkout_amount, order.current_amount, order.current_amount, None),
            *(order.placed_at, order.placed_at, order.placed_at if order.is_cancelled else None),
        ]
        marks = ", ".join("?" * len(row))
        connection.execute(f"insert into staging.stg_shopify__orders values ({marks})", row)


def _local(at: datetime) -> date:
    return at.astimezone(NEW_YORK).date()


def _difference(planted: list[Order]) -> dict[tuple[date, str], tuple[int, Decimal]]:
    """Shopify's orders less ours, by date and currency."""
    sums = defaultdict(lambda: (0, Decimal(0)))

    def add(at: datetime, currency: str | None, count: int, amount: Decimal | None) -> None:
        orders, total = sums[_local(at), currency or "unknown"]
        sums[_local(at), currency or "unknown"] = (orders + count, total + count * (amount or 0))

    for order in planted:
        if order.placed_at and not order.is_cancelled:
            current = order.checkout_amount if order.current_amount is None else order.current_amount
            add(order.placed_at, order.currency, 1, current)
        if order.seen_at and not order.is_test:
            add(order.seen_at, order.seen_currency, -1, order.seen_amount)
    return {key: value for key, value in sums.items() if value != (0, 0)}


@settings(max_examples=150, deadline=None)
@given(planted=st.lists(orders(), max_size=8))
def test_causes_add_up_to_the_difference(connection, planted):
    sums = defaultdict(lambda: (0, Decimal(0)))
    for day, currency, _, _, count, amount in causes_of(connection, planted):
        orders, total = sums[day, currency]
        sums[day, currency] = (orders + count, total + amount)
    assert {key: value for key, value in sums.items() if value != (0, 0)} == _difference(planted)


AT = BEGIN + timedelta(days=2, hours=18)
AGREED = Order(
    *(AT, Decimal(10), "USD", AT, Decimal(10), Decimal(10), "USD", "web"),
    has_same_id=True,
    has_token=True,
    is_checkout_seen=True,
    is_test=False,
    is_cancelled=False,
)


def _changed(**changes: Any) -> Order:
    return Order(**{**AGREED.__dict__, **changes})


MISSED = {"seen_at": None, "seen_amount": None, "seen_currency": None}
UNPLACED = {"placed_at": None, "checkout_amount": None, "current_amount": None, "currency": None}
DAY = _local(AT)
CASES = {
    "agreed": (AGREED, []),
    "agreed by its token": (_changed(has_same_id=False), []),
    "thank-you page lost": (_changed(**MISSED), [(DAY, "USD", "lost_thank_you_page", "web", 1, 10)]),
    "no consent": (_changed(**MISSED, is_checkout_seen=False), [(DAY, "USD", "no_consent", "web", 1, 10)]),
    "missed without a token": (_changed(**MISSED, has_token=False), [(DAY, "USD", "unexplained", "web", 1, 10)]),
    "missed and edited": (
        _changed(**MISSED, current_amount=Decimal(7)),
        [(DAY, "USD", "lost_thank_you_page", "web", 1, 7)],
    ),
    "missed and cancelled": (_changed(**MISSED, is_cancelled=True), []),
    "at the till": (_changed(**MISSED, source_name="pos"), [(DAY, "USD", "other_channel", "pos", 1, 10)]),
    "by an app of unknown name": (
        _changed(**MISSED, source_name=None),
        [(DAY, "USD", "other_channel", "unknown", 1, 10)],
    ),
    "a draft paid in the browser": (_changed(source_name="shopify_draft_order"), []),
    "a test": (_changed(is_test=True), [(DAY, "USD", "test_order", "web", 1, 10)]),
    "a cancelled test": (_changed(is_test=True, is_cancelled=True), []),
    "of the pixel only": (_changed(**UNPLACED), [(DAY, "USD", "pixel_only", "none", -1, -10)]),
    "before the first event": (
        _changed(**MISSED, placed_at=BEGIN),
        [(_local(BEGIN), "USD", "outside_comparison", "web", 1, 10)],
    ),
    "edited": (_changed(current_amount=Decimal(12)), [(DAY, "USD", "edited_later", "web", 0, 2)]),
    "cancelled": (_changed(is_cancelled=True), [(DAY, "USD", "cancelled_later", "web", -1, -10)]),
    "edited, then cancelled": (
        _changed(current_amount=Decimal(12), is_cancelled=True),
        [(DAY, "USD", "cancelled_later", "web", -1, -12), (DAY, "USD", "edited_later", "web", 0, 2)],
    ),
    "another total at checkout": (
        _changed(seen_amount=Decimal(9)),
        [(DAY, "USD", "unexplained", "web", 0, 1)],
    ),
    "in another currency": (
        _changed(seen_currency="EUR", seen_amount=Decimal(9)),
        [(DAY, "EUR", "other_currency", "web", -1, -9), (DAY, "USD", "other_currency", "web", 1, 10)],
    ),
    "on another date": (
        _changed(seen_at=AT + timedelta(days=1)),
        [(DAY, "USD", "other_date", "web", 1, 10), (DAY + timedelta(days=1), "USD", "other_date", "web", -1, -10)],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_difference_has_its_cause(connection, name):
    order, expected = CASES[name]
    assert sorted(causes_of(connection, [order])) == expected


def test_causes_are_those_planted_in_the_demo(built_demo):
    simulation = demo_simulation()
    consenting = [one for one in simulation.deliveries if one.consent["analyticsProcessingAllowed"]]
    events = [event for delivery in consenting for event in delivery.events if event["timestamp"] != "yesterday"]
    completed = {_order_id(event) for event in events if event["name"] == "checkout_completed"}
    tokens = {event["data"]["checkout"]["token"] for event in events if event["name"].startswith("checkout_")}
    expected = defaultdict(lambda: (0, Decimal(0)))
    for order in simulation.orders:
        cause, sign = _planted_cause(order, completed, tokens)
        if cause:
            key = _local(order.placed_at), cause, order.source_name
            count, amount = expected[key]
            expected[key] = (count + sign, amount + sign * Decimal(order.total_cents) / 100)
    found = {
        (day, cause, source): (count, amount)
        for day, cause, source, count, amount in built_demo.query(
            "select local_date, cause, source_name, orders, amount from operations.reconciliation_causes"
        )
    }
    assert found == expected
    assert {(cause, source) for _, cause, source in found} == {
        ("other_channel", "pos"),
        ("other_channel", "shopify_draft_order"),
        *((cause, "web") for cause in ("cancelled_later", "lost_thank_you_page", "no_consent", "test_order")),
    }


def _planted_cause(order: PlacedOrder, completed: set[str], tokens: set[str]) -> tuple[str | None, int]:
    if str(order.id) in completed and not order.is_test:
        return ("cancelled_later", -1) if order.cancelled_at else (None, 0)
    if order.cancelled_at:
        return None, 0
    if order.is_test:
        return "test_order", 1
    if order.source_name != "web":
        return "other_channel", 1
    return ("lost_thank_you_page" if order.checkout_token in tokens else "no_consent"), 1


def _order_id(completed: dict[str, Any]) -> str:
    return completed["data"]["checkout"]["order"]["id"].rpartition("/")[2]


def test_causes_and_difference_agree_in_the_demo(built_demo):
    [causes] = built_demo.query("select sum(orders), sum(amount) from operations.reconciliation_causes")
    [difference] = built_demo.query(
        "select sum(shopify_orders - our_orders), sum(shopify_amount - our_amount) from operations.order_reconciliation"
    )
    assert causes == difference
