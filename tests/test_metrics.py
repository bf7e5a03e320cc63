"""Every metric of the catalogue, by its formula, against plain Python over the simulated events and orders."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from statistics import mean
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from crawleruseragents import is_crawler

from ingestion.simulator.orders import PlacedOrder
from ingestion.simulator.shoppers import Simulation
from serving.analytics.periods import Period
from serving.analytics.store import Stores
from serving.analytics.values import measure, over_time
from serving.metrics import Metric, load_metrics
from tests.questions import DEMO_SHOP, demo_simulation
from tests.test_effectiveness import Recomputed
from tests.warehouse import Warehouse

CATALOGUE = load_metrics()
NEW_YORK = ZoneInfo("America/New_York")
PERIODS = {
    "all dates": (date(2026, 9, 1), date(2026, 11, 30)),
    "a week": (date(2026, 10, 19), date(2026, 10, 25)),
    "a week without data": (date(2027, 1, 1), date(2027, 1, 7)),
}
Values = dict[str, Any]


def computed(demo: Warehouse, metric: Metric, first: date, last: date) -> Any:
    """What pages and the API show: a value, or values by currency."""
    measured = measure(Stores(demo.data).newest(), DEMO_SHOP, metric.name, Period(first, last))
    if CATALOGUE.has_currency(metric):
        return {one.currency: one.value for one in measured.values}
    return measured.total()


def divided(numerator: Any, denominator: Any) -> float | None:
    return None if numerator is None or not denominator else float(numerator) / float(denominator)


@dataclass(frozen=True)
class Session:
    """A visit, by the definition: the events of one browser with no gap of more than 30 minutes."""

    events: list[dict[str, Any]]
    person: str
    is_new: bool
    is_bot: bool

    @property
    def date(self) -> date:
        return _date(self.events[0])

    @property
    def seconds(self) -> float:
        return (_at(self.events[-1]) - _at(self.events[0])).total_seconds()

    def count(self, name: str) -> int:
        return sum(event["name"] == name for event in self.events)


@dataclass(frozen=True)
class Sale:
    """An order that the pixel saw, and the same order as the shop knows it."""

    completed: dict[str, Any]
    placed: PlacedOrder
    person: str
    is_repeat: bool

    @property
    def date(self) -> date:
        return _date(self.completed)


class Truth:
    """What happened in the shop, from the events sent and the orders placed."""

    def __init__(self, simulation: Simulation) -> None:
        self.lists = Recomputed(simulation)
        self.received, self.broken = {}, {}
        for delivery in sorted(simulation.deliveries, key=lambda one: one.sent_at):
            if delivery.consent["analyticsProcessingAllowed"]:
                for event in delivery.events:
                    kept = self.broken if event["timestamp"] == "yesterday" else self.received
                    kept.setdefault(event["id"], (event, delivery.sent_at))
        events = [event for event, _ in self.received.values()]
        self.events = sorted(events, key=lambda event: (event["timestamp"], event["id"]))
        self.placed = {str(order.id): order for order in simulation.orders}
        self.person = self._persons()
        self.sessions = list(self._sessions())
        self.sales = list(self._sales())

    def _persons(self) -> dict[str, str]:
        """A person by browser: browsers that checked out as one customer are one person."""
        leader = {}

        def find(identifier: str) -> str:
            while leader.setdefault(identifier, identifier) != identifier:
                identifier = leader[identifier]
            return identifier

        for event in self.events:
            checkout = event.get("data", {}).get("checkout") or {}
            customer = (checkout.get("order") or {}).get("customer") or {}
            for other in (checkout.get("token"), customer.get("id")):
                if other:
                    leader[find(f"{other}")] = find(event["clientId"])
        return {event["clientId"]: find(event["clientId"]) for event in self.events}

    def _sessions(self):
        by_browser = defaultdict(list)
        for event in self.events:
            visits = by_browser[event["clientId"]]
            if not visits or _at(event) - _at(visits[-1][-1]) > timedelta(minutes=30):
                visits.append([])
            visits[-1].append(event)
        known = set()
        visits = [visit for visits in by_browser.values() for visit in visits]
        for visit in sorted(visits, key=lambda events: events[0]["timestamp"]):
            person = self.person[visit[0]["clientId"]]
            is_bot = is_crawler(visit[0]["context"]["navigator"]["userAgent"])
            yield Session(visit, person, person not in known, is_bot)
            known.add(person)

    def _sales(self):
        found, customers = {}, set()
        for event in self.events:
            if event["name"] == "checkout_completed":
                found.setdefault(_order_id(event), event)
        for order_id, event in found.items():
            placed, person = self.placed[order_id], self.person[event["clientId"]]
            if not placed.is_test:
                customer = event["data"]["checkout"]["order"]["customer"] or {}
                yield Sale(event, placed, person, person in customers or customer.get("isFirstOrder") is False)
                customers.add(person)

    def values(self, first: date, last: date) -> Values:
        """The metrics of a period that are not ratios."""

        def within(rows):
            return [row for row in rows if first <= row.date <= last]

        sessions = within(session for session in self.sessions if not session.is_bot)
        return {
            **_of_sessions(sessions, self.placed),
            **self._of_events(first, last),
            **_of_sales(within(self.sales)),
            **self._of_checkouts(first, last),
            **self._of_lists(first, last),
            **self._of_orders(first, last),
        }

    def _of_events(self, first: date, last: date) -> Values:
        events = [
            (event, received_at) for event, received_at in self.received.values() if first <= _date(event) <= last
        ]
        by_people = [event for session in self.sessions if not session.is_bot for event in session.events]
        by_people = [event for event in by_people if first <= _date(event) <= last]
        delays = [int(received_at.timestamp()) - int(_at(event).timestamp()) for event, received_at in events]
        broken = [at for _, at in self.broken.values() if first <= at.astimezone(NEW_YORK).date() <= last]
        return {
            "product_views": sum(event["name"] == "product_viewed" for event in by_people),
            "cart_adds": sum(event["name"] == "product_added_to_cart" for event in by_people),
            "accepted_events": len(events) or None,
            "events_with_unknown_consent": 0 if events else None,
            "late_events": sum(delay > 3600 for delay in delays) if events else None,
            "longest_delay": max(delays) if events else None,
            "quarantined_events": len(broken),
        }

    def _of_checkouts(self, first: date, last: date) -> Values:
        by_token = defaultdict(list)
        for event in self.events:
            if event["name"].startswith(("checkout_", "payment_info")):
                by_token[event["data"]["checkout"]["token"]].append(event)
        started = [events for events in by_token.values() if first <= _date(events[0]) <= last]
        open_ended = [events for events in started if events[-1]["name"] != "checkout_completed"]
        at_risk = sum(_cents(events[-1]["data"]["checkout"]["totalPrice"]) for events in open_ended)
        return {
            "checkouts": len(started) or None,
            "completed_checkouts": len(started) - len(open_ended) if started else None,
            "checkout_value_at_risk": _money(at_risk, started),
        }

    def _of_lists(self, first: date, last: date) -> Values:
        seen = {view["customData"]["request_id"]: view for view in self.lists.views}
        clicked = {click["customData"]["request_id"]: click for click in self.lists.clicks}
        lists = {request: _date(seen.get(request) or clicked[request]) for request in seen.keys() | clicked.keys()}
        shown = [request for request, day in lists.items() if first <= day <= last]
        credited = [line for line in self.lists.lines if first <= line.place[0] <= last]
        sold = sum((line.gross for line in credited if line.attribution == "direct"), Decimal(0))
        return {
            "recommendation_impressions": len(shown) or None,
            "recommendation_clicks": sum(request in clicked for request in shown) if shown else None,
            "recommendation_sales": {"USD": sold} if shown or credited else {},
        }

    def _of_orders(self, first: date, last: date) -> Values:
        """What Shopify has and what the pixel missed."""
        seen = {_order_id(event) for event in self.events if event["name"] == "checkout_completed"}
        placed = [order for order in self.placed.values() if first <= _local(order.placed_at) <= last]
        online = [order for order in placed if order.source_name == "web" and not order.is_test]
        missed = [order for order in online if str(order.id) not in seen]
        listed = [order for order in placed if not order.cancelled_at]
        sales = [sale for sale in self.sales if first <= sale.date <= last]
        difference = sum(order.total_cents for order in listed) - sum(sale.placed.total_cents for sale in sales)
        return {
            "admin_orders": len(online) if placed else None,
            "missing_orders": len(missed) if placed else None,
            "missing_sales": _money(sum(order.total_cents for order in missed), placed),
            "order_difference": len(listed) - len(sales) if placed else None,
            "sales_difference": _money(difference, placed),
            "unexplained_orders": None,
        }


def _of_sessions(sessions: list[Session], placed: dict[str, PlacedOrder]) -> Values:
    persons = {session.person for session in sessions}
    new = sum(session.is_new for session in sessions)

    def total(name: str) -> int | None:
        return sum(session.count(name) for session in sessions) if sessions else None

    def with_event(name: str) -> int:
        return sum(session.count(name) > 0 for session in sessions)

    return {
        "sessions": len(sessions),
        "visitors": len(persons),
        "new_visitors": new,
        "returning_visitors": len(persons) - new,
        "page_views": total("page_viewed"),
        "bounced_sessions": sum(
            session.count("page_viewed") <= 1
            and not any(
                session.count(name) for name in ("product_added_to_cart", "checkout_started", "checkout_completed")
            )
            for session in sessions
        ),
        "session_duration": mean(session.seconds for session in sessions) if sessions else None,
        "searches": total("search_submitted"),
        "sessions_with_product_view": with_event("product_viewed"),
        "sessions_with_cart_add": with_event("product_added_to_cart"),
        "sessions_with_checkout": with_event("checkout_started"),
        "converted_sessions": sum(
            any(event["name"] == "checkout_completed" and not placed[_order_id(event)].is_test for event in one.events)
            and not any(
                event["name"] == "checkout_completed" and placed[_order_id(event)].is_test for event in one.events
            )
            for one in sessions
        ),
        "carts": with_event("product_added_to_cart"),
    }


def _of_sales(sales: list[Sale]) -> Values:
    def paid(amount) -> dict[str, Decimal]:
        return _money(sum(amount(sale.placed) for sale in sales), sales)

    gross, products = paid(lambda order: order.total_cents), paid(lambda order: order.subtotal_cents)
    refunds = paid(lambda order: order.refunded_cents)
    discounts = paid(
        lambda order: sum(variant.price_cents * units for _, variant, units in order.lines) - order.subtotal_cents
    )
    return {
        "orders": len(sales),
        "customers": len({sale.person for sale in sales}),
        "repeat_orders": sum(sale.is_repeat for sale in sales),
        "units": sum(quantity for sale in sales for _, _, quantity in sale.placed.lines) if sales else None,
        "gross_sales": gross,
        "product_sales": products,
        "discounts": discounts,
        "discount_share": {one: discounts[one] / (discounts[one] + products[one]) for one in discounts},
        "average_order_value": {one: gross[one] / len(sales) for one in gross},
        "refunds": refunds,
        "refund_share": {one: refunds[one] / gross[one] for one in gross},
        "net_sales": paid(lambda order: 0 if order.cancelled_at else order.total_cents - order.refunded_cents),
    }


def _of_marts(warehouse: Warehouse, first: date, last: date) -> Values:
    """Rows of marts, counted in Python: other tests recompute the states of carts and the units of experiments."""
    carts = [
        (state, amount)
        for day, state, amount in warehouse.query("select local_date, cart_state, cart_amount from analytics.carts")
        if first <= day <= last
    ]
    states = [state for state, _ in carts]
    entered = warehouse.query("select local_date from experiments.unit_metrics")
    left = [amount for state, amount in carts if state == "abandoned"]
    return {
        "settled_carts": len(states) - states.count("open") - states.count("emptied"),
        "abandoned_carts": states.count("abandoned"),
        "left_carts": states.count("abandoned") + states.count("recovered"),
        "recovered_carts": states.count("recovered"),
        "abandoned_cart_value": {"USD": sum(left, Decimal(0)) if left else None} if carts else {},
        "experiment_units": sum(first <= day <= last for (day,) in entered),
    }


def _order_id(completed: dict[str, Any]) -> str:
    return completed["data"]["checkout"]["order"]["id"].rpartition("/")[2]


def _at(event: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(event["timestamp"])


def _date(event: dict[str, Any]) -> date:
    return _local(_at(event))


def _local(at: datetime) -> date:
    return at.astimezone(UTC).astimezone(NEW_YORK).date()


def _cents(money: dict[str, Any]) -> int:
    return round(money["amount"] * 100)


def _money(cents: int, rows: Any) -> dict[str, Decimal]:
    return {"USD": Decimal(cents) / 100} if rows else {}


@pytest.fixture(scope="module")
def truth() -> Truth:
    return Truth(demo_simulation())


@pytest.mark.parametrize("period", PERIODS)
def test_every_metric_equals_its_recomputation(built_demo, truth, period):
    first, last = PERIODS[period]
    expected = truth.values(first, last) | _of_marts(built_demo, first, last)
    for metric in CATALOGUE.values():
        if metric.is_ratio:
            numerator, denominator = expected[metric.numerator], expected[metric.denominator]
            if isinstance(numerator, dict):
                of = denominator if isinstance(denominator, dict) else dict.fromkeys(numerator, denominator)
                expected[metric.name] = {one: divided(value, of.get(one)) for one, value in numerator.items()}
            else:
                expected[metric.name] = divided(numerator, denominator)
    found = {metric.name: computed(built_demo, metric, first, last) for metric in CATALOGUE.values()}
    assert found.keys() == expected.keys()
    differing = {name: (found[name], expected[name]) for name in found if not same(found[name], expected[name])}
    assert differing == {}
    if period != "a week without data":
        unknown = {name for name, value in found.items() if value in (None, {}, 0, 0.0)}
        assert unknown <= {"events_with_unknown_consent", "unknown_consent_share", "unexplained_orders"} | (
            {"returning_visitors"} if period == "all dates" else set()
        )


def same(found: Any, expected: Any) -> bool:
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(same(found[one], expected[one]) for one in found)
    if found is None or expected is None:
        return found is expected
    return float(found) == pytest.approx(float(expected), rel=1e-9)


@pytest.mark.parametrize("name", [metric.name for metric in CATALOGUE.values() if metric.additive])
def test_an_additive_metric_is_the_sum_of_its_dates(built_demo, name):
    metric, (first, last) = CATALOGUE[name], PERIODS["a week"]
    days = [computed(built_demo, metric, first + timedelta(days=n), first + timedelta(days=n)) for n in range(7)]
    if metric.currency:
        days = [day.get("USD") for day in days]
    total = computed(built_demo, metric, first, last)
    assert sum(day or 0 for day in days) == ((total.get("USD") if metric.currency else total) or 0)


@pytest.mark.parametrize("metric", CATALOGUE.values(), ids=lambda metric: metric.name)
def test_a_dimension_divides_a_metric(built_demo, metric):
    """Every row has one value of each dimension, so that counts and sums of the values add up to the total."""
    store, period = Stores(built_demo.data).newest(), Period(*PERIODS["a week"])
    total = measure(store, DEMO_SHOP, metric.name, period)
    for name in metric.dimensions:
        found = measure(store, DEMO_SHOP, metric.name, period, [name])
        assert found.values
        assert None not in {value.keys[0] for value in found.values}, name
        if metric.additive:
            currency = total.values[0].currency
            parts = found.by_key(currency).values()
            assert sum(part or 0 for part in parts) == (total.total(currency) or 0), name


def test_a_dimension_of_sessions_finds_the_session_of_every_row(built_demo):
    """Also if the session began before the period, which is a single day."""
    day = PERIODS["a week"][0]
    found = measure(Stores(built_demo.data).newest(), DEMO_SHOP, "product_views", Period(day, day), ["channel"])
    joined = built_demo.query(
        "select sessions.channel, count(*) from core.product_views as views inner join core.sessions as sessions "
        f"using (session_id) where views.local_date = '{day}' and not views.is_bot group by all"
    )
    assert found.by_key() == dict(joined)


def test_metrics_by_week_and_of_one_product_equal_their_recomputation(built_demo, truth):
    store, period = Stores(built_demo.data).newest(), Period(*PERIODS["all dates"])
    visitors, units = defaultdict(set), defaultdict(int)
    for session in truth.sessions:
        if not session.is_bot:
            visitors[_monday(session.date)].add(session.person)
    lines = [(str(sold.id), sale.date, units) for sale in truth.sales for sold, _, units in sale.placed.lines]
    [(product, _)] = Counter(sold for sold, _, _ in lines).most_common(1)
    for sold, day, quantity in lines:
        if sold == product:
            units[_monday(day)] += quantity
    by_week = measure(store, DEMO_SHOP, "visitors", period, ["week"])
    assert by_week.by_key() == {week: len(persons) for week, persons in visitors.items()}
    of_product = measure(store, DEMO_SHOP, "units", period, ["week"], {"product_id": product})
    assert of_product.by_key() == units and len(units) > 1
    assert [week for week, _ in over_time(of_product, period)] == period.weeks()


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())
