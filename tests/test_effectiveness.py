"""What recommendations sell, recomputed in plain Python from the simulated store's events and orders, exactly."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from crawleruseragents import is_crawler

from ingestion.experiments import experiments_file, load_experiments
from ingestion.shops import load_shops
from ingestion.simulator.catalogue import build_catalogue
from ingestion.simulator.experiments import EFFECTS, Effect
from ingestion.simulator.recommendations import CLICKED, LINE_PROPERTY, VIEWED
from ingestion.simulator.shoppers import Simulation, simulate
from serving.experiments.results import write_results
from tests.landing_files import land
from tests.questions import DEMO_SHOP, END, PROJECT, SEED, demo_simulation, lines_of
from tests.warehouse import Warehouse

NEW_YORK = ZoneInfo("America/New_York")
Place = tuple[Any, ...]  # date, placement, strategy, position


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return demo_simulation()


@dataclass(frozen=True)
class Line:
    """One order line and the list that it is credited to."""

    order_id: str
    place: Place
    attribution: str
    quantity: int
    gross: Decimal
    net: Decimal


class Recomputed:
    """Lists, clicks and credited order lines, straight from the definitions."""

    def __init__(self, simulation: Simulation) -> None:
        found = {}
        for delivery in sorted(simulation.deliveries, key=lambda one: one.sent_at):
            if not delivery.consent["analyticsProcessingAllowed"]:
                continue
            for event in delivery.events:
                agent = event["context"]["navigator"]["userAgent"]
                if event["timestamp"] != "yesterday" and not is_crawler(agent):
                    found.setdefault(event["id"], event)
        self.events = sorted(found.values(), key=lambda event: (event["timestamp"], event["id"]))
        self.placed = {str(order.id): order for order in simulation.orders}
        in_tests = self._in_test_sessions()
        self.views = [event for event in self._named(VIEWED) if event["id"] not in in_tests]
        self.clicks = [event for event in self._named(CLICKED) if event["id"] not in in_tests]
        self.lines = list(self._lines())

    def _named(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["name"] == name]

    def _in_test_sessions(self) -> set[str]:
        """The events of sessions that ended in a test order."""
        sessions = defaultdict(list)
        for event in self.events:
            found = sessions[event["clientId"]]
            if not found or _at(event) - _at(found[-1][-1]) > timedelta(minutes=30):
                found.append([])
            found[-1].append(event)
        return {
            event["id"]
            for of_client in sessions.values()
            for session in of_client
            if any(one["name"] == "checkout_completed" and self.placed[_order_id(one)].is_test for one in session)
            for event in session
        }

    def _persons(self) -> dict[str, set[str]]:
        """By browser, all browsers of the same person: those that gave the same customer."""
        browsers = defaultdict(set)
        for event in self.events:
            if customer := event.get("data", {}).get("checkout", {}).get("order", {}).get("customer"):
                browsers[customer["id"]].add(event["clientId"])
        return {client: found for found in browsers.values() for client in found}

    def _lines(self):
        orders = {}
        for event in self._named("checkout_completed"):
            orders.setdefault(_order_id(event), event)
        persons = self._persons()
        for order_id, event in orders.items():
            order = self.placed[order_id]
            if order.is_test:
                continue
            left = 0 if order.cancelled_at else order.total_cents - order.refunded_cents
            clients = persons.get(event["clientId"], set()) | {event["clientId"]}
            for item in event["data"]["checkout"]["lineItems"]:
                credited = self._credited(event, item, clients)
                if credited:
                    gross = _cents(item["finalLinePrice"]) - sum(
                        _cents(allocation["amount"])
                        for allocation in item["discountAllocations"]
                        if allocation["discountApplication"]["targetSelection"] == "ALL"
                    )
                    net = Decimal(gross) * left / order.total_cents
                    place = (_date(event), *credited[1:])
                    yield Line(order_id, place, credited[0], item["quantity"], Decimal(gross) / 100, net / 100)

    def _credited(self, event, item, clients) -> tuple[Any, ...] | None:
        for one in item["properties"]:
            if one["key"] == LINE_PROPERTY:
                _, placement, strategy, position = one["value"].split(".")
                return "direct", placement, strategy, int(position)
        product, at = item["variant"]["product"]["id"], _at(event)
        for click in reversed(self.clicks):
            data = click["customData"]
            age = at - _at(click)
            if data["product_id"] == product and click["clientId"] in clients and _within(age, 7):
                return "direct", data["placement"], data["strategy"], data["position"]
        for view in reversed(self.views):
            data = view["customData"]
            if product in data["product_ids"] and view["clientId"] in clients and _within(at - _at(view), 1):
                place = data["product_ids"].index(product)
                return "view_through", data["placement"], data["strategies"][place], place + 1
        return None


def _order_id(completed: dict[str, Any]) -> str:
    return completed["data"]["checkout"]["order"]["id"].rpartition("/")[2]


def _within(age: timedelta, days: int) -> bool:
    return timedelta(0) <= age <= timedelta(days=days)


def _at(event: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(event["timestamp"])


def _date(event: dict[str, Any]):
    return _at(event).astimezone(NEW_YORK).date()


def _cents(money: dict[str, Any]) -> int:
    return round(money["amount"] * 100)


@pytest.fixture(scope="module")
def recomputed(simulation) -> Recomputed:
    return Recomputed(simulation)


def test_attributed_sales_equal_those_recomputed_from_events(built_demo, recomputed):
    expected = defaultdict(lambda: [set(), 0, Decimal(0), Decimal(0)])
    for line in recomputed.lines:
        sums = expected[*line.place, line.attribution]
        sums[0].add(line.order_id)
        sums[1] += line.quantity
        sums[2] += line.gross
        sums[3] += line.net
    found = {}
    for attribution in ("direct", "view_through"):
        for *place, orders, units, gross, net in built_demo.query(
            f"select local_date, placement, strategy, position, {attribution}_orders, {attribution}_units, "
            f"{attribution}_gross_sales, {attribution}_net_sales from recommendations.effectiveness "
            f"where level = 'position' and {attribution}_orders > 0"
        ):
            found[*place, attribution] = [orders, units, gross, round(net, 2)]
    assert found == {
        place: [len(orders), units, gross, round(net, 2)] for place, (orders, units, gross, net) in expected.items()
    }
    assert {attribution for *_, attribution in found} == {"direct", "view_through"}
    assert any(gross != net for _, _, gross, net in found.values()), "no refund"


def test_lists_and_clicks_equal_those_recomputed_from_events(built_demo, recomputed):
    seen = {view["customData"]["request_id"]: view for view in recomputed.views}
    clicked = {click["customData"]["request_id"]: click for click in recomputed.clicks}
    items = {(request, product) for request, view in seen.items() for product in view["customData"]["product_ids"]} | {
        (request, click["customData"]["product_id"]) for request, click in clicked.items()
    }
    # Clicked twice counts once.
    items_clicked = {
        (click["customData"]["request_id"], click["customData"]["product_id"]) for click in recomputed.clicks
    }
    dates = defaultdict(lambda: [0, 0])
    for request in seen.keys() | clicked.keys():
        date = _date(seen.get(request) or clicked[request])
        dates[date][0] += 1
        dates[date][1] += request in clicked
    assert {
        date: [lists, clicks]
        for date, lists, clicks in built_demo.query(
            "select local_date, lists_seen, lists_clicked from recommendations.effectiveness "
            "where level = 'placement' and lists_seen > 0"
        )
    } == dates
    assert built_demo.query(
        "select sum(items_seen), sum(items_clicked) from recommendations.effectiveness where level = 'position'"
    ) == [(len(items), len(items_clicked))]


def test_every_planted_order_is_attributed_directly(built_demo, simulation):
    planted = {one["order_id"] for one in simulation.planted["orders_caused"]}
    credited = built_demo.query(
        "select orders.order_id from intermediate.int_attributed_outcomes as outcomes "
        "inner join core.orders as orders using (order_key) where attribution = 'direct'"
    )
    seen = {order for (order,) in built_demo.query("select order_id from core.orders where not is_test")}
    assert planted & seen
    assert planted & seen <= {order for (order,) in credited}


def test_attributed_sales_overstate_what_lists_caused(built_demo, simulation):
    """The clicks of shoppers who would have bought anyway are credited too."""
    [(direct, view_through)] = built_demo.query(
        "select sum(direct_gross_sales), sum(view_through_gross_sales) from recommendations.effectiveness "
        "where level = 'source'"
    )
    caused = Decimal(sum(one["subtotal_cents"] for one in simulation.planted["orders_caused"])) / 100
    assert direct > caused * Decimal("1.2")
    assert direct + view_through > caused * Decimal("1.5")


HOLDOUT = f"""
[[holdouts]]
shop = "{DEMO_SHOP}"
share = 0.5
start = 2026-01-01
"""


@pytest.mark.long
def test_holdout_recovers_the_planted_incremental_sales_and_attributed_sales_overstate_them(tmp_path):
    """Half of the shop is held out, so that a few weeks have enough buyers, and lists cause many purchases."""
    shops_file = tmp_path / "shops.toml"
    shops_file.write_bytes((PROJECT / "shops.toml").read_bytes())
    experiments_file(shops_file).write_text(HOLDOUT)
    shops = load_shops(shops_file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(EFFECTS, "default", Effect(clicks=0.12, purchases=0.18))
        experiments = load_experiments(experiments_file(shops_file), shops)
        simulation = simulate(shops[0], build_catalogue(SEED), SEED, END, days=45, experiments=experiments)
    warehouse = Warehouse(tmp_path / "data", shops_file)
    land(warehouse.landing, lines_of(simulation))
    warehouse.load()
    warehouse.build()
    write_results(warehouse.file)

    planted = {one["order_id"]: one["subtotal_cents"] for one in simulation.planted["orders_caused"]}
    orders = warehouse.query("select order_id, gross_total_amount from core.orders where not is_test")
    caused = sum(amount for order_id, amount in orders if order_id in planted)
    [(incremental, lower, upper, attributed)] = warehouse.query(
        "select difference, lower, upper, attributed_sales from experiments.results "
        "where metric = 'incremental_sales' and segment_kind = 'all' and not is_capped and not is_adjusted"
    )
    assert lower <= caused <= upper
    assert incremental > 0
    # Attributed sales are product amounts, without shipping and taxes.
    assert attributed > 1.05 * sum(planted.values()) / 100
