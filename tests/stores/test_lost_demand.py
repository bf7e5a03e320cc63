"""A product that sells out and comes back, according to pixel events, and one that was never in stock."""

from datetime import datetime, timedelta
from decimal import Decimal
from math import ceil
from typing import Any

import pytest

from tests.stores.events import NOON, checkout, event, viewed


def view(
    client: str, day: float, product: str, is_available: Any, variant_id: Any = ..., **changes: Any
) -> dict[str, Any]:
    data = viewed(product, variant_id, **changes)
    data["productVariant"]["availableForSale"] = is_available
    return event("product_viewed", client, (day - 30) * 1440, data=data)


def order(client: str, day: float, product: str, amount: float = 10) -> dict[str, Any]:
    data = checkout(f"t{client}{day}", f"{client}{day}", product=product, amount=amount)
    return event("checkout_completed", client, (day - 30) * 1440, data=data)


CASES = range(20)  # people who see product 1 in stock: 5 of them buy it, one of these too late to count
EVENTS = [
    *[view(f"in{n}", 0, "1", True) for n in CASES],
    *[order(f"in{n}", 1, "1", 40) for n in range(4)],
    order("in4", 8, "1", 80),
    # Sold out: seven people, one of them twice, one also another variant.
    *[view(f"out{n}", 10 + n / 100, "1", False) for n in range(6)],
    view("out0", 10.5, "1", False),
    view("out6", 10.6, "1", "false"),
    view("out6", 10.61, "1", None),  # of unknown availability
    view("out1", 10.7, "1", True, "another variant"),
    order("out1", 10.71, "1", 20),
    # Back: two come back, and one of them buys.
    view("out2", 12, "1", True),
    view("out3", 13, "1", True),
    order("out3", 13.1, "1", 20),
    view("out4", 14, "1", False),  # sold out again
    # Never in stock, and never sold, in two currencies; a product without a variant.
    view("never0", 10, "2", False),
    view("never1", 10, "2", False, currency="USD", price=99),
    view("never2", 10, "3", False, None),
]


@pytest.fixture(scope="module")
def spells(stores) -> list[dict[str, Any]]:
    names, rows = stores.table(
        "select * from analytics.lost_demand where shop = 'lost-demand.myshopify.com' "
        "order by product_id, first_viewed_at"
    )
    return [dict(zip(names, row, strict=True)) for row in rows]


def at(day: float) -> datetime:
    return NOON.replace(tzinfo=None) + timedelta(days=day - 30)


def test_a_spell_ends_with_the_next_view_in_stock(spells):
    assert [
        (one["product_id"], one["variant_id"], one["first_viewed_at"], one["last_viewed_at"], one["back_in_stock_at"])
        for one in spells
    ] == [
        ("1", "11", at(10), at(10.6), at(12)),
        ("1", "11", at(14), at(14), None),
        ("2", "21", at(10), at(10), None),
        ("3", None, at(10), at(10), None),
    ]
    assert [(one["views"], one["people"], one["people_bought"]) for one in spells] == [
        (8, 7, 2),
        (1, 1, 0),
        (2, 2, 0),
        (1, 1, 0),
    ]


def test_who_came_back_is_known_once_it_is_in_stock(spells):
    assert [(one["people_came_back"], one["people_bought_when_back"]) for one in spells] == [
        (2, 1),
        (None, None),
        (None, None),
        (None, None),
    ]


def test_missed_orders_are_those_of_a_beta_binomial(spells):
    """23 people saw product 1 in stock, and 6 of them bought it within a week; nobody saw another product."""
    first, *_, never, _ = spells
    assert (first["cases"], first["hits"]) == (23, 6)
    shop = 6.5 / 24
    of_type = (6 + 20 * shop) / (23 + 20)  # the only one
    rate = (6 + 20 * of_type) / (23 + 20)
    assert first["conversion_rate"] == pytest.approx(rate)
    assert first["missed_orders"] == 0  # fewer than the people who still bought it
    deviation = (7 * rate * (1 - rate) * (43 + 7) / (43 + 1)) ** 0.5
    assert first["missed_orders_lower"] == 0
    assert first["missed_orders_upper"] == ceil(7 * rate + 1.96 * deviation) - 2
    assert (never["cases"], never["hits"]) == (0, 0)
    assert never["conversion_rate"] == pytest.approx(of_type)
    assert never["missed_orders"] == pytest.approx(2 * of_type, abs=1e-6)


def test_missed_sales_are_worth_an_average_order_or_the_price_shown(spells):
    first, again, never, _ = spells
    average = (4 * 40 + 80 + 20 + 20) / 7
    assert first["missed_sales_upper_amount"] == Decimal(f"{first['missed_orders_upper'] * average:.4f}")
    assert float(again["missed_sales_amount"]) == pytest.approx(again["missed_orders"] * average, abs=1e-3)
    assert float(never["missed_sales_amount"]) == pytest.approx(never["missed_orders"] * 10, abs=1e-3)
    assert {one["currency"] for one in spells} == {"EUR"}
