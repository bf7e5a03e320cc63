"""Attribution on random journeys: each model credits every order in full, and each touch with its share.

Runs the compiled SQL of int_session_values and the marts above it on small tables, without a warehouse.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestration.parsed_dbt import parsed_project
from tests.warehouse import DBT_PROJECT, TARGET

MODELS = ("first_touch", "last_touch", "last_non_direct", "linear", "position_based")
FIRST = datetime(2026, 3, 1, 12)
TABLES = """
create schema intermediate;
create schema core;
create schema analytics;
create table core.shops (shop varchar, currency varchar);
create table intermediate.int_shop_today (shop varchar, today date);
create table intermediate.int_visits (session_id varchar, journey_id varchar);
create table intermediate.int_sessions (
    session_id varchar, shop varchar, started_at timestamp, local_date date, channel varchar, utm_source varchar,
    utm_medium varchar, utm_campaign varchar, landing_path varchar, page_views bigint, cart_adds bigint,
    checkouts_started bigint, checkouts_completed bigint, viewed_at timestamp, is_bot boolean
);
create table core.orders (
    order_key varchar, shop varchar, session_id varchar, journey_id varchar, ordered_at timestamp, local_date date,
    currency varchar, gross_total_amount decimal(18, 4), is_test boolean, is_bot boolean
);
insert into core.shops values ('s', 'EUR');
insert into intermediate.int_shop_today values ('s', '2026-12-31');
"""


@dataclass(frozen=True)
class Session:
    """A session of one of two people; the day of its start."""

    journey: int
    day: int
    channel: str
    is_bot: bool


@dataclass(frozen=True)
class Order:
    """An order by one of them or by an unknown person (2), perhaps in a session, possibly another person's."""

    journey: int
    day: int
    amount: Decimal | None
    currency: str | None
    session: int | None


sessions = st.lists(
    st.builds(
        Session,
        st.integers(0, 1),
        st.sampled_from([0, 1, 2, 3, 95, 150]),
        st.sampled_from(["direct", "email", "referral"]),
        st.sampled_from([False, False, False, False, True]),
    ),
    min_size=2,
    max_size=9,
)
amounts = st.decimals(min_value=-10, max_value=10**13, places=4) | st.just(Decimal("0.01")) | st.none()
orders = st.lists(
    st.builds(
        Order,
        st.integers(0, 2),
        st.sampled_from([2, 3, 4, 93, 94, 150]),
        amounts,
        st.sampled_from(["EUR", "USD", None]),
        st.none() | st.integers(0, 8),
    ),
    min_size=1,
    max_size=5,
)


FOUR_TOUCHES = [
    Session(0, day, channel, False) for day, channel in enumerate(["email", "direct", "referral", "direct"])
]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> dict[str, str]:
    """The SQL of the models."""
    from dbt.cli.main import dbtRunner

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIXELNOVA_DATA", str(tmp_path_factory.mktemp("compiled")))
        folders = ["--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT), "--target-path", TARGET]
        names = ["int_session_values", "campaigns", "landing_pages"]
        done = dbtRunner(parsed_project()).invoke(
            ["compile", "--quiet", "--log-level-file", "none", *folders, "--select", *names]
        )
    assert done.success, done.exception
    return {result.node.name: result.node.compiled_code for result in done.result}


def at(day: int, minute: int = 0) -> datetime:
    return FIRST + timedelta(days=day, minutes=minute)


def touches(order: Order, known: list[Session]) -> Iterator[int]:
    """The numbers of an order's touches, by day."""
    found = [
        number
        for number, session in enumerate(known)
        if not session.is_bot
        and (
            number == order.session
            or (session.journey == order.journey and session.day <= order.day <= session.day + 90)
        )
    ]
    yield from sorted(found, key=lambda number: (known[number].day, number))


def shares(channels: list[str]) -> dict[str, list[Fraction]]:
    """The share of each touch, by model."""
    n = len(channels)
    others = [place for place, channel in enumerate(channels) if channel != "direct"]
    ends = Fraction(1, min(n, 2)) if n < 3 else Fraction(2, 5)
    return {
        "first_touch": [Fraction(place == 0) for place in range(n)],
        "last_touch": [Fraction(place == n - 1) for place in range(n)],
        "last_non_direct": [Fraction(place == (others or [n - 1])[-1]) for place in range(n)],
        "linear": [Fraction(1, n)] * n,
        "position_based": [ends if place in (0, n - 1) else Fraction(1, 5 * (n - 2)) for place in range(n)],
    }


@settings(max_examples=30, deadline=None, database=None, derandomize=True)
@given(known=sessions, placed=orders)
@example(known=FOUR_TOUCHES, placed=[Order(0, 3, Decimal("100.01"), "EUR", None)])
def test_models_conserve_orders_and_sales(compiled, known, placed):
    # In a session that exists, is a person's, and began before the order.
    placed = [
        order
        for order in placed
        if order.session is None
        or (order.session < len(known) and not known[order.session].is_bot and known[order.session].day <= order.day)
    ]
    with duckdb.connect() as connection:
        connection.execute("attach ':memory:' as warehouse; use warehouse")
        connection.execute(TABLES)
        for number, session in enumerate(known):
            day = at(session.day)
            connection.execute(
                "insert into intermediate.int_sessions "
                "values (?, 's', ?, ?, ?, null, null, null, '/', 1, 0, 0, 0, null, ?)",
                [f"s{number}", day, day.date(), session.channel, session.is_bot],
            )
            connection.execute(
                "insert into intermediate.int_visits values (?, ?)", [f"s{number}", f"j{session.journey}"]
            )
        for number, order in enumerate(placed):
            connection.execute(
                "insert into core.orders values (?, 's', ?, ?, ?, ?, ?, ?, false, false)",
                [
                    f"o{number}",
                    None if order.session is None else f"s{order.session}",
                    None if order.journey == 2 else f"j{order.journey}",
                    at(order.day, 1),
                    at(order.day).date(),
                    order.currency,
                    order.amount,
                ],
            )
        connection.execute(f"create table intermediate.int_session_values as {compiled['int_session_values']}")
        totals = connection.execute(
            "select coalesce(currency, 'unknown'), count(*), coalesce(sum(gross_total_amount), 0) "
            "from core.orders group by all order by all"
        ).fetchall()
        for mart in ("campaigns", "landing_pages"):
            connection.execute(f"create table analytics.{mart} as {compiled[mart]}")
            for model in MODELS:
                assert (
                    totals
                    == connection.execute(
                        f"select currency, sum({model}_orders), sum({model}_sales_amount) from analytics.{mart} "
                        f"group by all having sum({model}_orders) > 0 order by all"
                    ).fetchall()
                )
        expected: dict[tuple[str, str | None, str], Fraction] = defaultdict(Fraction)
        for order in placed:
            touched = list(touches(order, known))
            for model, of_model in shares([known[number].channel for number in touched]).items() if touched else ():
                for number, share in zip(touched, of_model, strict=True):
                    expected[model, order.currency or "unknown", f"s{number}"] += share * Fraction(order.amount or 0)
        for model in MODELS:
            for session_id, currency, credited in connection.execute(
                f"select session_id, currency, {model}_sales from intermediate.int_session_values "
                "where session_id is not null"
            ).fetchall():
                wanted = expected[model, currency, session_id]
                assert float(credited) == pytest.approx(float(wanted), rel=1e-12, abs=1e-3)
