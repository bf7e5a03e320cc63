"""Who is in an experiment, what counts, and in which phase; the client id names the case."""

import shutil
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from itertools import count

import pytest

from ingestion.assignment import assigned_bucket
from serving.experiments.results import write_results
from tests.stores.events import cart_line, checkout, event

# Half of the units take part in the first phase. Minute 0 of an event is noon of November 20, in the second phase.
EXPERIMENTS = """
[[experiments]]
shop = "{shop}"
key = "lists"
name = "Lists"
placements = ["product_page"]
primary_metrics = ["revenue_per_visitor"]
guardrails = ["refund_rate"]
variations = [{key = "control", shows = "default"}, {key = "b", shows = "viewed_together"}]
phases = [
    {start = 2026-11-08T00:00:00Z, coverage = 0.5, weights = [0.5, 0.5]},
    {start = 2026-11-15T00:00:00Z, coverage = 1, weights = [0.5, 0.5]},
]
"""
DAY = 24 * 60
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
_units, _orders = count(1), count(100)


def unit(variation: str) -> str:
    """A unit of this variation, in both phases."""
    start = {"control": 0, "b": 5000}[variation]
    return next(u for u in (f"unit-{n}" for n in _units) if start <= assigned_bucket("lists", u) < start + 2500)


def exposed(client: str, of_unit: str, variation: str, minute: float = 0, phase: int = 2, **changes) -> dict:
    data = {"v": 1, "experiment": "lists", "phase": phase, "variation": variation, "unit": of_unit} | changes
    return event("pixelnova:experiment_exposed", client, minute, type="custom", customData=data, path="/products/p")


def ordered(client: str, minute: float, amount: float = 10, customer: str | None = None, **changes) -> dict:
    number = next(_orders)
    data = checkout(f"token-{number}", str(number), customer, amount=amount)
    data["checkout"] |= changes
    return event("checkout_completed", client, minute, data=data)


def list_event(name: str, client: str, minute: float, placement: str) -> dict:
    data = {"v": 1, "request_id": f"{client}{placement}", "placement": placement, "product_ids": ["1", "2"]}
    data |= {"strategies": ["popular", "popular"], "product_id": "1", "strategy": "popular", "position": 1}
    return event(f"pixelnova:recommendation_{name}", client, minute, type="custom", customData=data)


UNITS = {
    name: (unit(variation), variation)
    for name, variation in {
        "buyer": "b",
        "known": "control",
        "early": "control",
        "other currency": "b",
        "both phases": "b",
        "new client": "control",
        "clicker": "b",
        "forger": "b",
        "two minds": "b",
        "phone": "b",
        "laptop": "control",
        "work phone": "control",
        "home phone": "control",
        "crawler": "b",
        "late": "b",
    }.items()
}


def of(name: str, minute: float = 0, client: str | None = None, **changes) -> dict:
    return exposed(client or name, *UNITS[name], minute, **changes)


def steps() -> Iterator[dict]:
    yield event("page_viewed", "buyer", -1, path="/")
    yield of("buyer")
    yield of("buyer", 2)
    yield event("product_added_to_cart", "buyer", 3, data=cart_line("1"))
    yield ordered("buyer", 4, amount=25)
    yield ordered("buyer", 60, amount=30)

    yield ordered("known", -5 * DAY, amount=40)
    yield ordered("known", -31 * DAY, amount=99)  # too long ago
    yield of("known")

    yield ordered("early", -1, amount=15)
    yield of("early")

    yield of("other currency")
    yield ordered("other currency", 5, amount=70, currencyCode="USD")

    yield ordered("both phases", -11 * DAY, amount=1)  # on November 9
    yield of("both phases", -10 * DAY, phase=1)
    yield ordered("both phases", -8 * DAY, amount=2)
    yield ordered("both phases", -3 * DAY, amount=4)  # after the first phase, before the exposure in the second
    yield of("both phases")
    yield ordered("both phases", 1, amount=8)

    yield of("new client")
    yield of("new client", 100, client="newer client")
    yield ordered("newer client", 101, amount=11)

    yield of("clicker")
    yield list_event("viewed", "clicker", 1, "product_page")
    yield list_event("clicked", "clicker", 2, "product_page")
    yield list_event("viewed", "clicker", 3, "popular")
    yield list_event("clicked", "clicker", 4, "popular")

    yield exposed("forger", UNITS["forger"][0], "control")
    yield of("two minds")
    yield exposed("two minds", UNITS["two minds"][0], "control", 1)

    for name, customer in {"phone": "7", "laptop": "7", "work phone": "8", "home phone": "8"}.items():
        yield of(name)
        yield ordered(name, 5, customer=customer)

    yield of("crawler") | {"context": {**of("crawler")["context"], "navigator": {"userAgent": BOT}}}
    yield of("late", phase=1)
    yield exposed("stranger", "unit-x", "b", experiment="nothing declared")
    yield exposed("stranger", "unit-x", "b", phase=3)
    yield exposed("no unit", None, "b")
    yield exposed(None, UNITS["late"][0], "b", 1)


EVENTS = list(steps())
EVENTS += EVENTS[:3]  # received twice

LEFT_OUT = {
    "forger": "wrong_variation",
    "two minds": "several_variations",
    "phone": "several_devices",
    "laptop": "several_devices",
    "work phone": "same_person",
    "home phone": "same_person",
    "crawler": "bot",
}


def test_every_unit_counts_or_is_left_out_with_its_reason(store):
    names = {u: name for name, (u, _) in UNITS.items()}
    rows = store.query(
        "select unit, phase, variation, left_out_reason from experiments.exposures "
        "where shop = '{shop}' and experiment = 'lists' and phase in (1, 2) and unit <> ''"
    )
    reasons = {(names[u], phase): (variation, reason) for u, phase, variation, reason in rows}
    expected = {(name, 2): (variation, LEFT_OUT.get(name)) for name, (_, variation) in UNITS.items() if name != "late"}
    expected["forger", 2] = ("control", "wrong_variation")
    expected["both phases", 1] = ("b", None)
    expected["late", 1] = ("b", "outside_phase")
    expected["late", 2] = ("b", "no_client")
    assert reasons == expected
    others = "select experiment, phase, unit, left_out_reason from experiments.exposures where shop = '{shop}' and "
    assert set(store.query(others + "(experiment <> 'lists' or phase = 3 or unit = '')")) == {
        ("nothing declared", 2, "unit-x", "unknown_experiment"),
        ("lists", 3, "unit-x", "unknown_experiment"),
        ("lists", 2, "", "no_unit"),
    }
    counted = "select count(*) from experiments.exposures where shop = '{shop}' and is_counted"
    assert store.query(counted) == store.query("select count(*) from experiments.unit_metrics where shop = '{shop}'")


def metrics(store, name: str, phase: int = 2) -> dict[str, int | Decimal]:
    """The measures that are not 0."""
    columns = [f"{when}{column}" for when in ("", "earlier_") for column in MEASURED]
    [row] = store.query(
        f"select {', '.join(columns)} from experiments.unit_metrics where shop = '{{shop}}' and experiment = 'lists' "
        f"and phase = {phase} and unit = '{UNITS[name][0]}'"
    )
    return {column: value for column, value in zip(columns, row, strict=True) if value}


MEASURED = ("impressions", "clicks", "adders", "buyers", "orders", "units_bought", "sales", "net_sales", "refunds")


@pytest.mark.parametrize(
    ("name", "phase", "expected"),
    [
        ("buyer", 2, {"adders": 1, "buyers": 1, "orders": 2, "units_bought": 2, "sales": 55, "net_sales": 55}),
        ("known", 2, {"earlier_buyers": 1, "earlier_orders": 1, "earlier_units_bought": 1, "earlier_sales": 40}),
        ("early", 2, {"earlier_buyers": 1, "earlier_orders": 1, "earlier_units_bought": 1, "earlier_sales": 15}),
        ("other currency", 2, {"buyers": 1}),
        (
            "both phases",
            1,
            {"buyers": 1, "orders": 1, "units_bought": 1, "sales": 2, "net_sales": 2, "earlier_sales": 1},
        ),
        (
            "both phases",
            2,
            {"buyers": 1, "orders": 1, "units_bought": 1, "sales": 8, "net_sales": 8, "earlier_sales": 1},
        ),
        ("new client", 2, {"buyers": 1, "orders": 1, "units_bought": 1, "sales": 11, "net_sales": 11}),
        ("clicker", 2, {"impressions": 1, "clicks": 1}),
    ],
)
def test_what_a_unit_did_counts_from_its_exposure_to_the_end_of_the_phase(store, name, phase, expected):
    found = metrics(store, name, phase)
    assert {column: found.get(column, 0) for column in expected} == expected
    assert not {column for column in found.keys() - expected.keys() if not column.startswith("earlier_")}


def test_a_segment_is_that_of_the_entry(store):
    rows = {
        u: (visitor, segment, device)
        for u, visitor, segment, device in store.query(
            "select unit, visitor, segment, device from experiments.unit_metrics where shop = '{shop}' and phase = 2"
        )
    }
    assert rows[UNITS["buyer"][0]] == ("new", "visitor", "desktop")
    assert rows[UNITS["known"][0]][0] == "known"
    assert rows[UNITS["known"][0]][1] != "visitor"


def test_sums_equal_those_of_the_units(store):
    """For a ratio and a mean, over all strata; only the largest buyer of each is above the cap."""
    units = defaultdict(list)
    for *key, sales, orders, before, orders_before in store.query(
        "select phase, variation, sales, orders, earlier_sales, earlier_orders from experiments.unit_metrics "
        "where shop = '{shop}'"
    ):
        units[tuple(key)].append((sales, orders, before, orders_before))
    for metric in ("average_order_value", "revenue_per_visitor"):
        for (phase, variation), rows in units.items():
            values = rows if metric == "average_order_value" else [(row[0], 1, row[2], 1) for row in rows]
            expected = [sum(row[n] for row in values) for n in range(4)]
            expected += [sum(row[n] * row[m] for row in values) for n in range(4) for m in range(n, 4)]
            columns = ["numerator", "denominator", "earlier_numerator", "earlier_denominator"]
            columns += [f"products_{n}{m}" for n in range(1, 5) for m in range(n, 5)]
            for kind in ("all", "device", "visitor"):
                [found] = store.query(
                    f"select {', '.join(f'sum({column})' for column in columns)}, sum(units) "
                    f"from intermediate.int_experiment_sums where shop = '{{shop}}' and phase = {phase} "
                    f"and variation = '{variation}' and metric = '{metric}' and segment_kind = '{kind}' "
                    "and not is_capped"
                )
                assert list(found) == [*expected, len(rows)]


def test_the_verdict_of_each_phase_is_withheld_where_units_are_mixed(store, tmp_path):
    """Three of fourteen units saw two variations; the first phase has one visitor."""
    copy = tmp_path / "warehouse.duckdb"
    shutil.copy(store.warehouse.file, copy)
    sentences = {key: text for key, text in write_results(copy).items() if key.startswith(store.shop)}
    assert sentences == {
        f"{store.shop}/lists": "Withheld: 30.0 % of the visitors saw several variations, more than 1 %, "
        "so the groups overlap.",
    }
