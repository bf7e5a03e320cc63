"""What customers are worth and when they return, recomputed in plain Python from simulated regulars over four months.

Some of their thank-you pages are never loaded, so that only the Admin API knows those orders.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from math import ceil
from random import Random
from statistics import median, quantiles
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ingestion.data_folder import workspace
from ingestion.shops import load_shops
from ingestion.simulator import regulars
from ingestion.simulator.admin_api import AdminApi, Bucket, running_admin_api
from ingestion.simulator.admin_store import AdminStore
from ingestion.simulator.catalogue import build_catalogue
from ingestion.simulator.orders import PlacedOrder, with_aftermath
from ingestion.simulator.regulars import RHYTHMS, Regular, Visit
from ingestion.simulator.shoppers import ALL_ALLOWED, LIFE, Delivery, Simulation
from ingestion.sources.shopify import Settings, shopify_source
from ingestion.sources.shopify_api import URL_VARIABLE, admin_apis
from ingestion.sources.shopify_token import token_variable
from ingestion.warehouse import open_pipeline
from tests.landing_files import land
from tests.questions import DEMO_SHOP, END, PROJECT, SEED, lines_of
from tests.warehouse import Warehouse

NEW_YORK = ZoneInfo("America/New_York")
DAYS = 110
MISSED = 0.1  # of the orders' thank-you pages


@dataclass(frozen=True)
class Bought:
    """One order as of the end, with the values that follow from the definitions; amounts in cents."""

    order: PlacedOrder
    is_seen: bool
    is_repeat: bool

    @property
    def day(self) -> date:
        return local(self.order.placed_at)

    @property
    def gross(self) -> int:
        return self.order.total_cents

    @property
    def net(self) -> int:
        return self.order.total_cents - self.order.refunded_cents

    @property
    def margin(self) -> int | None:
        [(_, variant, quantity)] = self.order.lines
        return None if variant.cost_cents is None else self.order.subtotal_cents - variant.cost_cents * quantity

    @property
    def is_discounted(self) -> bool:
        return self.order.discount_cents > 0

    @property
    def product(self) -> str:
        return str(self.order.lines[0][0].id)


@dataclass(frozen=True)
class Person:
    """A regular with the visits that happened, and the orders in sequence, without test orders."""

    regular: Regular
    visits: Sequence[Visit]
    bought: Sequence[Bought]

    @property
    def client_id(self) -> str:
        return self.visits[0].events[0]["clientId"]


def local(at: datetime) -> date:
    return at.astimezone(NEW_YORK).date()


def month(day: date) -> date:
    return day.replace(day=1)


def amount(cents: int | None) -> Decimal | None:
    return None if cents is None else Decimal(cents) / 100


def is_missed(order: PlacedOrder) -> bool:
    return Random(f"missed/{order.id}").random() < MISSED


def person_of(regular: Regular) -> Person:
    visits = [visit for visit in regular.visits if datetime.fromisoformat(visit.events[-1]["timestamp"]) < END]
    placed = [with_aftermath(visit.order, END) for visit in visits if visit.order]
    bought: list[Bought] = []
    for number, order in enumerate(placed):
        says_repeat = not is_missed(order) and regular.customer_id is not None and number > 0
        if not order.is_test:
            bought.append(Bought(order, not is_missed(order), bool(bought) or says_repeat))
    return Person(regular, visits, bought)


@pytest.fixture(scope="module")
def people() -> list[Person]:
    shop, catalogue = load_shops(PROJECT / "shops.toml")[0], build_catalogue(SEED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(regulars, "REGULARS_PER_DAY", 1)
        days = [(END - timedelta(days=DAYS - number)).date() for number in range(DAYS)]
        found = [one for day in days for one in regulars.regulars_of(shop, catalogue, SEED, day, LIFE)]
    return [person_of(one) for one in found]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory, people) -> Warehouse:
    """The regulars' events, and the products and orders of the Admin API."""
    deliveries = [
        Delivery(datetime.fromisoformat(seen[-1]["timestamp"]), ALL_ALLOWED, seen)
        for person in people
        for visit in person.visits
        for seen in [visit.events[:-2] if visit.order and is_missed(visit.order) else visit.events]
    ]
    orders = [with_aftermath(visit.order, END) for person in people for visit in person.visits if visit.order]
    built = Warehouse(tmp_path_factory.mktemp("customers"), PROJECT / "shops.toml")
    land(built.landing, lines_of(Simulation(sorted(deliveries, key=lambda one: one.sent_at), orders, {})))
    built.load()
    with (
        running_admin_api(
            AdminApi(AdminStore(DEMO_SHOP, build_catalogue(SEED), orders), "token", Bucket(maximum=1e6))
        ) as url,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv(URL_VARIABLE, url)
        patch.setenv(token_variable(DEMO_SHOP), "token")
        wanted = Settings(orders_of=frozenset([DEMO_SHOP]), workspace=workspace(built.data))
        open_pipeline("shopify", built.data).run(shopify_source(admin_apis(load_shops(PROJECT / "shops.toml")), wanted))
    built.build(with_tests=True)
    return built


@pytest.fixture(scope="module")
def journeys(warehouse) -> dict[str, str]:
    """Client ▶ journey."""
    return dict(
        warehouse.query("select identifier, journey_id from core.identity_map where identifier_kind = 'client'")
    )


@pytest.fixture(scope="module")
def buyers(people) -> list[Person]:
    return [person for person in people if person.bought]


@pytest.fixture(scope="module")
def today(warehouse) -> date:
    [(found,)] = warehouse.query("select today from intermediate.int_shop_today")
    return found


def known_sum(values: Iterable[int | None]) -> Decimal | None:
    """The sum of cents; None if one is unknown."""
    found = list(values)
    return None if None in found else amount(sum(found))


def test_the_simulation_has_what_is_tested(buyers):
    bought = [one for person in buyers for one in person.bought]
    assert sum(not one.is_seen for one in bought) > 10
    assert sum(one.order.refunded_cents > 0 for one in bought) > 10
    assert any(one.order.cancelled_at for one in bought)
    assert any(one.order.refunded_at and month(local(one.order.refunded_at)) != month(one.day) for one in bought)
    for needs_code in (True, False):
        for is_guest in (True, False):
            found = [
                person
                for person in buyers
                if person.regular.needs_code == needs_code and (person.regular.customer_id is None) == is_guest
            ]
            assert max(len(person.bought) for person in found) > 3


def test_value_of_every_person_equals_that_of_their_orders(warehouse, buyers, journeys):
    expected = {
        journeys[person.client_id]: (
            person.regular.customer_id and str(person.regular.customer_id),
            month(person.bought[0].day),
            (person.bought[0].day - local(datetime.fromisoformat(person.visits[0].events[0]["timestamp"]))).days,
            len(person.bought),
            sum(not one.is_seen for one in person.bought),
            sum(one.is_repeat for one in person.bought),
            sum(one.is_discounted for one in person.bought),
            amount(sum(one.gross for one in person.bought)),
            amount(sum(one.gross for one in person.bought if not one.is_repeat)),
            amount(sum(one.gross for one in person.bought if one.is_repeat)),
            amount(sum(one.order.refunded_cents for one in person.bought)),
            amount(sum(one.net for one in person.bought)),
            amount(sum(one.net for one in person.bought if not one.is_repeat)),
            amount(sum(one.net for one in person.bought if one.is_repeat)),
            known_sum(one.margin for one in person.bought),
        )
        for person in buyers
    }
    found = {
        journey: tuple(row)
        for journey, *row in warehouse.query(
            "select journey_id, customer_id, cohort_month, days_to_first_order, orders, orders_missed_by_pixel, "
            "returning_orders, discounted_orders, gross_amount, new_gross_amount, returning_gross_amount, "
            "refunded_amount, net_amount, new_net_amount, returning_net_amount, margin_amount "
            "from analytics.customer_value"
        )
    }
    assert found == expected


def test_net_margin_leaves_out_the_refunded_share(warehouse, buyers, journeys):
    found = dict(warehouse.query("select journey_id, net_margin_amount from analytics.customer_value"))
    for person in buyers:
        if all(one.margin is not None for one in person.bought):
            expected = sum(one.margin * one.net / one.gross for one in person.bought) / 100
            assert float(found[journeys[person.client_id]]) == pytest.approx(expected, abs=1e-3)
        else:
            assert found[journeys[person.client_id]] is None


def dimensions(person: Person) -> dict[str, str]:
    first = person.bought[0]
    code = ("WELCOME10" if first.is_discounted else "none") if first.is_seen else "unknown"
    return {
        "all": "all",
        "first_product": first.product,
        "first_channel": "email",
        "landing_page": f"/products/{person.regular.product.handle}",
        "first_discount_code": code,
        "first_device": "mobile",
    }


def test_cohorts_equal_those_recomputed_with_both_dates_of_refunds(warehouse, buyers, today):
    sizes = defaultdict(int)
    for person in buyers:
        for dimension in dimensions(person).items():
            sizes[dimension] += 1
    cohorts = defaultdict(list)
    for person in buyers:
        for dimension, value in dimensions(person).items():
            pooled = value if dimension == "all" or sizes[dimension, value] >= 5 else "other"
            cohorts[dimension, pooled, month(person.bought[0].day)].append(person)
    expected = {}
    for (dimension, value, begun), members in cohorts.items():
        at = begun
        while at <= today:
            bought = [one for person in members for one in person.bought]
            priced = [person for person in members if all(one.margin is not None for one in person.bought)]
            so_far = [one for one in bought if month(one.day) <= at]
            refunded = [one for one in bought if one.order.refunded_at and month(local(one.order.refunded_at)) <= at]
            since = (at.year - begun.year) * 12 + at.month - begun.month
            expected[dimension, value, begun, since] = (
                at < month(today),
                len(members),
                sum(any(month(one.day) == at for one in person.bought) for person in members),
                sum(month(one.day) == at for one in bought),
                sum(month(one.day) == at and one.is_repeat for one in bought),
                amount(sum(one.gross for one in so_far)),
                amount(sum(one.net for one in so_far)),
                amount(sum(one.gross for one in so_far) - sum(one.order.refunded_cents for one in refunded)),
                len(priced),
                known_sum(one.margin for person in priced for one in person.bought if month(one.day) <= at)
                if priced
                else None,
            )
            at = month(at + timedelta(days=32))
    found = {
        tuple(row[:4]): tuple(row[4:])
        for row in warehouse.query(
            "select dimension, dimension_value, cohort_month, months_since, is_month_over, people, ordering_people, "
            "orders, returning_orders, cumulative_gross_amount, cumulative_net_amount_by_order_date, "
            "cumulative_net_amount_by_refund_date, people_with_margin, cumulative_margin_amount "
            "from analytics.customer_cohorts"
        )
    }
    assert found == expected
    assert max(since for *_, since in expected) >= 3
    assert any(row[6] != row[7] for row in expected.values()), "the two dates of refunds make no difference"
    assert all(
        row == (row[0],) * 2
        for row in warehouse.query(
            "select sum(net_amount_by_order_date), sum(net_amount_by_refund_date) from analytics.customer_cohorts "
            "group by dimension, dimension_value, cohort_month"
        )
    )


def test_discounts_equal_those_recomputed(warehouse, buyers):
    bought = [one for person in buyers for one in person.bought]
    kinds = {
        ("code", "WELCOME10"): lambda one: one.is_discounted and one.is_seen,
        ("any", "*"): lambda one: one.is_discounted,
        ("none", "*"): lambda one: not one.is_discounted,
    }
    expected = {}
    for kind, has in kinds.items():
        used = [one for one in bought if has(one)]
        later = []
        for person in buyers:
            first = next((number for number, one in enumerate(person.bought) if has(one)), None)
            if first is not None:
                later.append(person.bought[first + 1 :])
        users = [person for person in buyers if any(map(has, person.bought))]
        repeat = [person for person in users if len(person.bought) > 1]
        expected[kind] = (
            len(used),
            sum(not one.is_repeat for one in used),
            amount(sum(one.order.discount_cents for one in used)),
            amount(sum(one.order.subtotal_cents + one.order.discount_cents for one in used)),
            len(users),
            len(repeat),
            sum(all(one.is_discounted for one in person.bought) for person in repeat),
            sum(bool(orders) for orders in later),
            sum(len(orders) for orders in later),
            sum(not one.is_discounted for orders in later for one in orders),
            amount(sum(one.gross for orders in later for one in orders if not one.is_discounted)),
            amount(sum(one.gross for orders in later for one in orders if one.is_discounted)),
        )
    found = {
        (kind, discount): tuple(row)
        for kind, discount, *row in warehouse.query(
            "select discount_kind, discount, orders, new_orders, discount_amount, amount_before_discounts, people, "
            "repeat_buyers, never_at_full_price, people_ordering_later, later_orders, later_full_price_orders, "
            "later_full_price_amount, later_discounted_amount from analytics.discounts"
        )
    }
    assert found == expected
    assert found["code", "WELCOME10"][6] > 5, "no discount hunters"
    [(shares,)] = warehouse.query("select sum(share_of_orders) from analytics.discounts where discount = '*'")
    assert shares == pytest.approx(1)


def intervals_of(bought: Iterable[Sequence[Bought]]) -> list[int]:
    return [(after.day - before.day).days for orders in bought for before, after in pairwise(orders)]


def test_intervals_are_those_planted(warehouse, buyers):
    found = {
        (kind, item): tuple(row)
        for kind, item, *row in warehouse.query(
            "select item_kind, item, orders, buyers, repeat_buyers, intervals, lower_quartile_days, median_days, "
            "upper_quartile_days from analytics.reorder_intervals"
        )
    }
    groups = defaultdict(list)
    for person in buyers:
        groups["product", person.bought[0].product].append(person.bought)
        groups["product_type", person.regular.product.product_type].append(person.bought)
        groups["shop", "*"].append(person.bought)
    assert found == {
        key: (
            sum(map(len, orders)),
            len(orders),
            sum(len(one) > 1 for one in orders),
            len(intervals_of(orders)),
            *quantiles(intervals_of(orders), n=4, method="inclusive"),
        )
        for key, orders in groups.items()
    }
    assert {item: row[5] for (kind, item), row in found.items() if kind == "product_type"} == RHYTHMS


def test_people_are_due_by_their_reorder_interval(warehouse, buyers, journeys, today):
    of_product = defaultdict(list)
    for person in buyers:
        of_product[person.bought[0].product] += intervals_of([person.bought])
    expected = {}
    for person in buyers:
        own, last = intervals_of([person.bought]), person.bought[-1].day
        basis = "person" if len(own) >= 2 else "product"
        days = ceil(median(own if basis == "person" else of_product[person.bought[0].product]))
        if days - 7 <= (today - last).days <= 2 * days:
            due = last + timedelta(days=days)
            expected[journeys[person.client_id]] = (
                person.regular.customer_id and str(person.regular.customer_id),
                person.bought[0].product,
                len(person.bought),
                basis,
                due,
                (today - due).days,
            )
    found = {
        journey: tuple(row)
        for journey, *row in warehouse.query(
            "select journey_id, customer_id, product_id, orders, basis, due_on, days_overdue "
            "from analytics.due_to_reorder"
        )
    }
    assert found == expected
    assert {row[3] for row in found.values()} == {"person", "product"}
    assert min(row[5] for row in found.values()) < 0 < max(row[5] for row in found.values())


def test_stickiness_is_the_share_of_days_with_a_visit(warehouse, people, today):
    visits: dict[date, Any] = defaultdict(lambda: defaultdict(set))
    days_to_order = defaultdict(list)
    for person in people:
        dates = [local(datetime.fromisoformat(visit.events[0]["timestamp"])) for visit in person.visits]
        for day in dates:
            visits[month(day)][person.client_id].add(day)
        days_to_order[month(dates[0])] += [(one.day - dates[0]).days for one in person.bought[:1]]
    first_day = min(day for of_month in visits.values() for days in of_month.values() for day in days)
    for begun, days, visitors, stickiness, ordered, days_to_first in warehouse.query(
        "select local_month, days, visitors, stickiness, new_visitors_who_ordered, median_days_to_first_order "
        "from analytics.stickiness"
    ):
        last_day = min(month(begun + timedelta(days=32)) - timedelta(days=1), today)
        assert days == (last_day - max(begun, first_day)).days + 1
        of_month = visits.pop(begun)
        assert visitors == len(of_month)
        assert stickiness == pytest.approx(sum(map(len, of_month.values())) / days / visitors)
        assert ordered == len(days_to_order[begun])
        assert days_to_first == (median(days_to_order[begun]) if ordered else None)
    assert not visits


def test_every_order_is_one_product(warehouse, buyers):
    bought = [one for person in buyers for one in person.bought]
    assert warehouse.query(
        "select products, orders, share_of_orders, attach_rate, subtotal_amount from analytics.basket_sizes "
        "where contains_kind = 'all'"
    ) == [(1, len(bought), 1, 0, amount(sum(one.order.subtotal_cents for one in bought)))]
    assert warehouse.query("select count(*) from analytics.bundle_candidates") == [(0,)]
