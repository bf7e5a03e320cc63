"""Searches, collections, campaigns and lost demand, recomputed in plain Python from simulated shoppers.

Some products sell out and come back. A second simulation, without stockouts, shows what was truly missed.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any
from unicodedata import combining, normalize
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest
from crawleruseragents import is_crawler

from ingestion.data_folder import workspace
from ingestion.shops import load_shops
from ingestion.simulator.admin_api import AdminApi, Bucket, running_admin_api
from ingestion.simulator.admin_store import AdminStore
from ingestion.simulator.catalogue import COLLECTIONS, Catalogue, build_catalogue
from ingestion.simulator.shoppers import NEVER_SOLD, Simulation, simulate
from ingestion.sources import shopify
from ingestion.sources.shopify import Settings, shopify_source
from ingestion.sources.shopify_api import URL_VARIABLE, admin_apis
from ingestion.sources.shopify_token import token_variable
from ingestion.warehouse import open_pipeline
from tests.landing_files import land
from tests.questions import DEMO_SHOP, END, PROJECT, SEED, lines_of
from tests.warehouse import Warehouse

NEW_YORK = ZoneInfo("America/New_York")
DAYS = 24
SOLD_OUT, BACK = END - timedelta(days=14), END - timedelta(days=5)
MODELS = ("first_touch", "last_touch", "last_non_direct", "linear", "position_based")
CHECKOUT = ("checkout_started", "checkout_completed")


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """With the most popular products of each collection sold out for nine days."""
    full = build_catalogue(SEED)
    popular = [
        product
        for collection in COLLECTIONS
        for product in [one for one in full.published(collection) if one.in_stock][:3]
    ]
    return replace(full, sell_outs={product.id: (SOLD_OUT, BACK) for product in popular})


def simulation_of(catalogue: Catalogue) -> Simulation:
    return simulate(load_shops(PROJECT / "shops.toml")[0], catalogue, SEED, END, days=DAYS)


@pytest.fixture(scope="module")
def simulation(catalogue) -> Simulation:
    return simulation_of(catalogue)


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory, catalogue, simulation) -> Warehouse:
    """The shoppers' events, and the Admin API's answers before, during and after the sell-outs."""
    built = Warehouse(tmp_path_factory.mktemp("demand"), PROJECT / "shops.toml")
    land(built.landing, lines_of(simulation))
    built.load()
    store = AdminStore(DEMO_SHOP, catalogue)
    with (
        running_admin_api(AdminApi(store, "token", Bucket(maximum=20_000, restore_rate=1000))) as url,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv(URL_VARIABLE, url)
        patch.setenv(token_variable(DEMO_SHOP), "token")
        for changed_at, is_available in ((END - timedelta(days=DAYS), None), (SOLD_OUT, False), (BACK, True)):
            for product_id in catalogue.sell_outs if is_available is not None else ():
                product = f"gid://shopify/Product/{product_id}"
                for variant in store.variants[product]:
                    store.update_variant(product, variant, changed_at, availableForSale=is_available)
            patch.setattr(shopify, "_now", lambda at=changed_at: at + timedelta(hours=1))
            apis = admin_apis(load_shops(PROJECT / "shops.toml"))
            wanted = Settings(orders_of=frozenset(), workspace=workspace(built.data))
            open_pipeline("shopify", built.data).run(shopify_source(apis, wanted))
    built.build()
    return built


@dataclass
class Order:
    """An order that the pixel saw."""

    at: datetime
    amount: Decimal
    products: set[str]


@dataclass
class Session:
    """The events of a browser without a pause of more than half an hour."""

    events: list[dict[str, Any]]
    person: str

    @cached_property
    def at(self) -> datetime:
        return _at(self.events[0])

    @cached_property
    def date(self) -> date:
        return _date(self.at)

    @cached_property
    def campaign(self) -> str | None:
        return parse_qs(urlsplit(_url(self.events[0])).query).get("utm_campaign", [None])[0]

    @cached_property
    def is_direct(self) -> bool:
        page = self.events[0]["context"]["document"]
        return self.campaign is None and urlsplit(page["referrer"]).hostname in (None, DEMO_SHOP)

    @cached_property
    def landing_path(self) -> str:
        return urlsplit(_url(self.events[0])).path

    def count(self, *names: str) -> int:
        return sum(event["name"] in names for event in self.events)


class Recomputed:
    """Sessions, persons and orders, straight from the definitions."""

    def __init__(self, simulation: Simulation) -> None:
        found = {}
        for delivery in sorted(simulation.deliveries, key=lambda one: one.sent_at):
            if delivery.consent["analyticsProcessingAllowed"]:
                for event in delivery.events:
                    if event["timestamp"] != "yesterday":
                        found.setdefault(event["id"], event)
        events = [
            event
            for event in sorted(found.values(), key=lambda event: (event["timestamp"], event["seq"]))
            if not is_crawler(event["context"]["navigator"]["userAgent"])
        ]
        person_of = self._persons(events)
        self.sessions = list(self._sessions(events, person_of))
        self.orders: dict[str, Order] = {}
        self.orders_of: dict[str, list[str]] = defaultdict(list)  # by person
        self.session_of: dict[str, Session] = {}
        for session in self.sessions:
            for event in session.events:
                if event["name"] == "checkout_completed" and (number := _order_id(event)) not in self.orders:
                    checkout = event["data"]["checkout"]
                    products = {item["variant"]["product"]["id"] for item in checkout["lineItems"]}
                    total = Decimal(str(checkout["totalPrice"]["amount"]))
                    self.orders[number] = Order(_at(event), total, products)
                    self.orders_of[session.person].append(number)
                    self.session_of[number] = session

    @staticmethod
    def _persons(events) -> dict[str, str]:
        """The person of each browser: its customer, if it names one."""
        return {
            event["clientId"]: customer["id"]
            for event in events
            if (customer := event.get("data", {}).get("checkout", {}).get("order", {}).get("customer"))
        }

    @staticmethod
    def _sessions(events, person_of) -> Iterator[Session]:
        of_client = defaultdict(list)
        for event in events:
            of_client[event["clientId"]].append(event)
        for client, own in of_client.items():
            begin = 0
            for place in range(1, len(own) + 1):
                if place == len(own) or _at(own[place]) - _at(own[place - 1]) > timedelta(minutes=30):
                    yield Session(own[begin:place], person_of.get(client, client))
                    begin = place

    def touches(self, number: str) -> list[Session]:
        """The sessions of an order's person in the 90 days before it."""
        order, person = self.orders[number], self.session_of[number].person
        return sorted(
            (session for session in self.sessions if session.person == person and session.at <= order.at),
            key=lambda session: session.at,
        )


def _at(event: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(event["timestamp"])


def _date(at: datetime) -> date:
    return at.astimezone(NEW_YORK).date()


def _url(event: dict[str, Any]) -> str:
    return event["context"]["document"]["location"]["href"]


def _order_id(completed: dict[str, Any]) -> str:
    return completed["data"]["checkout"]["order"]["id"].rpartition("/")[2]


def _folded(query: str) -> str:
    plain = "".join(letter for letter in normalize("NFD", query) if not combining(letter))
    return " ".join(plain.lower().split())


@pytest.fixture(scope="module")
def recomputed(simulation) -> Recomputed:
    return Recomputed(simulation)


def opened_lists(session: Session) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Each collection view and search, and the product views whose referrer is its page."""
    opened: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
    for event in session.events:
        if event["name"] in ("collection_viewed", "search_submitted"):
            opened.append((event, []))
        elif event["name"] == "product_viewed" and opened:
            referrer = event["context"]["document"]["referrer"]
            if urlsplit(referrer).path == urlsplit(_url(opened[-1][0])).path:
                opened[-1][1].append(event)
    yield from opened


def test_searches_equal_those_recomputed_from_events(warehouse, recomputed):
    counts: dict[str, Counter] = defaultdict(Counter)
    refined: dict[str, Counter] = defaultdict(Counter)
    orders: dict[str, set[str]] = defaultdict(set)
    for session in recomputed.sessions:
        searches: list[list[Any]] = []  # term, results, clicks
        for event, clicks in opened_lists(session):
            if event["name"] == "search_submitted":
                term = _folded(event["data"]["searchResult"]["query"])
                found = len(event["data"]["searchResult"]["productVariants"])
                if not searches or searches[-1][0] != term:
                    searches.append([term, 0, 0])
                    counts[term]["searches"] += 1
                    orders[term] |= {
                        number
                        for number, of_order in recomputed.session_of.items()
                        if of_order is session and recomputed.orders[number].at >= _at(event)
                    }
                counts[term]["submissions"] += 1
                searches[-1][1] = max(searches[-1][1], found)
                searches[-1][2] += len(clicks)
        for term in {term for term, *_ in searches}:
            counts[term]["sessions"] += 1
        for place, (term, found, clicks) in enumerate(searches):
            counts[term]["without_result"] += not found
            counts[term]["without_click"] += not clicks
            counts[term]["clicks"] += clicks
            if not clicks and place + 1 < len(searches):
                refined[term][searches[place + 1][0]] += 1
    found = {
        term: row
        for term, *row in warehouse.query(
            "select term, searches, submissions, sessions, searches_without_result, searches_without_click, clicks, "
            "searches_refined, refined_to, orders, sales_amount from analytics.searches where window_days = 90"
        )
    }
    assert found == {
        term: [
            *(count[name] for name in ("searches", "submissions", "sessions", "without_result", "without_click")),
            count["clicks"],
            refined[term].total(),
            min(refined[term], key=lambda other: (-refined[term][other], other), default=None),
            len(orders[term]),
            sum((recomputed.orders[number].amount for number in orders[term]), Decimal(0)),
        ]
        for term, count in counts.items()
    }
    in_vain = {_folded(term) for term in NEVER_SOLD}
    assert {term for term, row in found.items() if row[3] == row[0]} >= in_vain
    assert any(row[7] for row in found.values())
    assert any(row[8] for row in found.values())


def test_collections_equal_those_recomputed_from_events(warehouse, recomputed):
    counts: dict[tuple[Any, ...], Counter] = defaultdict(Counter)
    for session in recomputed.sessions:
        orders = [number for number, of_order in recomputed.session_of.items() if of_order is session]
        credited = set()
        for event, clicks in opened_lists(session):
            if event["name"] != "collection_viewed":
                continue
            collection = event["data"]["collection"]
            listed = [variant["product"]["id"] for variant in collection["productVariants"]]
            places = {("collection", collection["id"], None, None)}
            places |= {("product", collection["id"], product, None) for product in listed}
            places |= {("position", collection["id"], product, n) for n, product in enumerate(listed, 1)}
            for place in places:
                counts[place]["views"] += 1
            clicked = set()
            for click in clicks:
                product = click["data"]["productVariant"]["product"]["id"]
                position = listed.index(product) + 1 if product in listed else None
                levels = [("collection", collection["id"], None, None), ("product", collection["id"], product, None)]
                levels += [("position", collection["id"], product, position)] if position else []
                is_first = (collection["id"], product) not in credited
                credited.add((collection["id"], product))
                bought = {
                    number
                    for number in orders
                    if is_first
                    and product in recomputed.orders[number].products
                    and recomputed.orders[number].at >= _at(click)
                }
                for level in levels:
                    counts[level]["clicks"] += 1
                    counts[level]["orders"] += len(bought)
                clicked |= {level for level in levels if level[0] == "collection" or position}
            for level in clicked:
                counts[level]["views_clicked"] += 1
    found = {
        tuple(place): measures
        for *place, measures in (
            (*row[:4], row[4:])
            for row in warehouse.query(
                "select level, collection_id, product_id, position, views, clicks, orders, "
                "round(click_rate * views)::int from analytics.collection_performance"
            )
        )
    }
    assert found == {
        place: (
            count["views"],
            count["clicks"],
            count["orders"],
            count["views_clicked"] if count["views"] else None,
        )
        for place, count in counts.items()
    }
    assert {place[0] for place, measures in found.items() if measures[2]} == {"collection", "product", "position"}


def shares(touches: list[Session]) -> dict[str, list[Decimal]]:
    """The share of each touch, by model, written out case by case."""
    n = len(touches)
    last_other = max((place for place, touch in enumerate(touches) if not touch.is_direct), default=n - 1)
    ends = {1: ["1"], 2: ["0.5", "0.5"]}.get(n, ["0.4", *["0.2"] * (n - 2), "0.4"])
    middle = Decimal(max(n - 2, 1))
    return {
        "first_touch": [Decimal(place == 0) for place in range(n)],
        "last_touch": [Decimal(place == n - 1) for place in range(n)],
        "last_non_direct": [Decimal(place == last_other) for place in range(n)],
        "linear": [Decimal(1) / n] * n,
        "position_based": [
            Decimal(share) / (middle if n > 2 and 0 < place < n - 1 else 1) for place, share in enumerate(ends)
        ],
    }


def test_attributed_sales_of_campaigns_equal_those_recomputed_from_events(warehouse, recomputed):
    expected: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    lengths = set()
    for number, order in recomputed.orders.items():
        touches = recomputed.touches(number)
        lengths.add(min(len(touches), 4))
        for model, of_model in shares(touches).items():
            for touch, share in zip(touches, of_model, strict=True):
                expected[model, touch.date, touch.campaign] += share * order.amount
    assert lengths == {1, 2, 3, 4}
    for model in MODELS:
        found = warehouse.query(
            f"select local_date, utm_campaign, sum({model}_sales_amount) from analytics.campaigns "
            "where channel <> 'unknown' group by all having sum(sessions) > 0"
        )
        wanted = {place: amount for (of, *place), amount in expected.items() if of == model for place in [tuple(place)]}
        assert {(day, campaign): float(amount) for day, campaign, amount in found if amount} == pytest.approx(
            {place: float(amount) for place, amount in wanted.items() if amount}, abs=0.01
        )


def test_landing_pages_equal_those_recomputed_from_events(warehouse, recomputed):
    today = _date(END)
    counts: dict[tuple[Any, ...], list[Any]] = defaultdict(lambda: [0, 0, 0, Decimal(0), Decimal(0)])
    first: dict[tuple[Any, ...], Session] = {}
    for session in sorted(recomputed.sessions, key=lambda session: session.at):
        place = (session.date, session.landing_path)
        first.setdefault((place, session.person), session)
        counts[place][0] += 1
        is_idle = not session.count("product_added_to_cart", *CHECKOUT)
        counts[place][1] += session.count("page_viewed") <= 1 and is_idle
        counts[place][2] += session.count("product_viewed") > 0
        counts[place][3] += sum(
            order.amount for number, order in recomputed.orders.items() if recomputed.session_of[number] is session
        )
    for (place, person), session in first.items():
        counts[place][4] += sum(
            recomputed.orders[number].amount
            for number in recomputed.orders_of[person]
            if recomputed.orders[number].at >= session.at
        )
    found = warehouse.query(
        "select local_date, landing_path, sessions, bounces, product_sessions, sales_amount, sales_30_days_amount "
        "from analytics.landing_pages where landing_path is not null"
    )
    assert {(day, path): row for day, path, *row, _ in found} == {place: count[:4] for place, count in counts.items()}
    assert all((later is None) == (day + timedelta(days=30) >= today) for day, *_, later in found)
    # Nothing is 30 days old; what was spent until now:
    [(later,)] = warehouse.query(
        "select sum(sales_30_days) from (select *, row_number() over "
        "(partition by journey_id, local_date, landing_path order by started_at, session_id) as n "
        "from intermediate.int_session_values) where n = 1 and session_id is not null"
    )
    assert later == sum(count[4] for count in counts.values())


def buyers_of(recomputed: Recomputed, product: str) -> set[str]:
    """The browsers of the people who saw a product while it was sold out and bought it afterwards."""
    seen = {}
    for session in recomputed.sessions:
        for event in session.events:
            if (
                event["name"] == "product_viewed"
                and SOLD_OUT <= _at(event) < BACK
                and event["data"]["productVariant"]["product"]["id"] == product
            ):
                seen.setdefault(session.person, (_at(event), event["clientId"]))
    return {
        client
        for person, (at, client) in seen.items()
        if any(
            product in recomputed.orders[number].products and recomputed.orders[number].at >= at
            for number in recomputed.orders_of[person]
        )
    }


def test_views_of_sold_out_products_equal_those_recomputed_from_events(warehouse, catalogue, recomputed):
    views: Counter = Counter()
    people: dict[str, set[str]] = defaultdict(set)
    never = {str(product.id) for product in catalogue.products if not product.in_stock}
    for session in recomputed.sessions:
        for event in session.events:
            if event["name"] == "product_viewed":
                variant = event["data"]["productVariant"]
                product = variant["product"]["id"]
                is_out = int(product) in catalogue.sell_outs and SOLD_OUT <= _at(event) < BACK
                if is_out or product in never:
                    views[variant["id"]] += 1
                    people[variant["id"]].add(session.person)
    found = warehouse.query(
        "select variant_id, views, people, sold_out_at, back_in_stock_at from analytics.lost_demand"
    )
    assert {variant: (views, people) for variant, views, people, *_ in found} == {
        variant: (count, len(people[variant])) for variant, count in views.items()
    }
    times = {(sold_out_at, back_at) for *_, sold_out_at, back_at in found if back_at}
    assert times == {(SOLD_OUT.replace(tzinfo=None), BACK.replace(tzinfo=None))}
    assert any(back_at is None for *_, back_at in found), "nothing was never in stock"
    [(came_back,)] = warehouse.query("select sum(people_came_back) from analytics.lost_demand")
    assert came_back > 0


def test_intervals_of_lost_demand_contain_what_the_same_shoppers_buy_without_stockouts(
    warehouse, catalogue, recomputed
):
    in_stock = Recomputed(simulation_of(replace(catalogue, sell_outs={})))
    products = [str(product_id) for product_id in catalogue.sell_outs]
    truth = {product: len(buyers_of(in_stock, product)) - len(buyers_of(recomputed, product)) for product in products}
    estimated = {
        product: row
        for product, *row in warehouse.query(
            "select product_id, sum(missed_orders), sum(missed_orders_lower), sum(missed_orders_upper) "
            "from analytics.lost_demand where back_in_stock_at is not null group by all"
        )
    }
    held = [estimated[product][1] <= truth[product] <= estimated[product][2] for product in estimated]
    missed, missed_in_truth = sum(row[0] for row in estimated.values()), sum(truth.values())
    assert missed_in_truth > 20
    assert sum(held) >= 0.9 * len(held)
    assert missed == pytest.approx(missed_in_truth, rel=0.35)
