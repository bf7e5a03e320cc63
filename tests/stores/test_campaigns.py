"""Landing pages and campaigns of journeys with several sessions, currencies and orders without a session."""

from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from tests.stores.events import checkout, event

MODELS = ("first_touch", "last_touch", "last_non_direct", "linear", "position_based")
_numbers = count(1)


def visit(client: str, day: float, campaign: str = "", path: str = "/", product: bool = False) -> list[dict[str, Any]]:
    """A session: one page, or a product page and the product."""
    query = f"?utm_source=s&utm_medium=email&utm_campaign={campaign}" if campaign else ""
    pages = [event("page_viewed", client, (day - 150) * 1440, path=path + query)]
    return pages + ([event("product_viewed", client, (day - 150) * 1440 + 1, path=path)] if product else [])


def order(client: str | None, day: float, amount: float, currency: str = "EUR") -> dict[str, Any]:
    number = next(_numbers)
    data = checkout(f"t{number}", str(number), amount=amount)
    data["checkout"] |= {"currencyCode": currency, "totalPrice": {"amount": amount, "currencyCode": currency}}
    return event("checkout_completed", client, (day - 150) * 1440 + 2, data=data)


# Day 150 is 2026-11-20, as_of 2026-11-24.
EVENTS = [
    *visit("a", 10, "one", "/pages/a", product=True),
    *visit("a", 20),
    *visit("a", 30, "two"),
    *visit("a", 35),
    order("a", 35, 100.01),
    order("a", 35, 50, "USD"),
    *visit("a", 39.9, "three"),
    order("a", 39.9, 0.02),
    order("a", 101, 30),  # in its own session; 91 days after campaign one, 71 after campaign two
    order("a", 140, 7),  # too late for most
    *visit("b", 140, "one", "/pages/a"),
    order("b", 141, 9),
    # Twice on one day.
    *visit("c", 50, "four", "/pages/c"),
    *visit("c", 50.2, "four", "/pages/c"),
    order("c", 60, 12),
    # No session.
    order(None, 30, 11),
    order(None, 30, 5, "JPY"),
]


@pytest.fixture(params=["campaigns", "landing_pages"])
def mart(request) -> str:
    return f"analytics.{request.param}"


def test_every_model_sums_to_all_orders_and_sales(store, mart):
    expected = store.query(
        "select currency, count(*), sum(gross_total_amount) from core.orders where shop = '{shop}' "
        "group by all order by all"
    )
    assert {currency for currency, *_ in expected} == {"EUR", "USD", "JPY"}
    for model in MODELS:
        assert (
            store.query(
                f"select currency, sum({model}_orders), sum({model}_sales_amount) from {mart} "
                "where shop = '{shop}' group by all order by all"
            )
            == expected
        )


def test_credits_follow_the_touches(store):
    """The order of 50 USD has four touches: campaign one, direct, campaign two, and its own direct session."""
    found = store.query(
        "select local_date, "
        + ", ".join(f"{model}_sales" for model in MODELS)
        + " from intermediate.int_session_values "
        "where shop = '{shop}' and journey_id is not null and currency = 'USD' order by 1"
    )
    assert [[float(amount) for amount in amounts] for _, *amounts in found] == [
        [50, 0, 0, 12.5, 20],
        [0, 0, 0, 12.5, 5],
        [0, 0, 50, 12.5, 5],
        [0, 50, 0, 12.5, 20],
    ]


def test_later_sales_are_those_of_the_days_after_and_unknown_until_they_are_over(store):
    found = store.query(
        "select local_date, sessions, people, orders, sales_amount, sales_30_days_amount, sales_90_days_amount "
        "from analytics.campaigns "
        "where shop = '{shop}' and utm_campaign = 'one' and currency = 'EUR' order by 1"
    )
    assert [row[1:] for row in found] == [
        (1, 1, 0, Decimal(0), Decimal("100.03"), Decimal("100.03")),
        (1, 1, 0, Decimal(0), None, None),
    ]
    [(sales,)] = store.query(
        "select sales_90_days_amount from analytics.campaigns "
        "where shop = '{shop}' and utm_campaign = 'two' and currency = 'EUR'"
    )
    assert sales == Decimal("130.03")


def test_later_sales_count_once_per_person(store):
    for mart, of_row in {"campaigns": "utm_campaign = 'four'", "landing_pages": "landing_path = '/pages/c'"}.items():
        columns = "sessions, people, sales_30_days_amount, linear_sales_amount"
        found = store.query(f"select {columns} from analytics.{mart} where shop = '{{shop}}' and {of_row}")
        assert found == [(2, 1, Decimal(12), Decimal(8))]


def test_landing_pages_have_bounces_and_products_reached(store):
    assert store.query(
        "select sum(sessions), sum(people), sum(bounces), sum(product_sessions) from analytics.landing_pages "
        "where shop = '{shop}' and landing_path = '/pages/a'"
    ) == [(2, 2, 2, 1)]
    [(sessions,)] = store.query(
        "select sum(sessions) from analytics.landing_pages where shop = '{shop}' and landing_path is null"
    )
    assert sessions == 0


def test_currencies_are_rows_of_their_own_without_sessions(store, mart):
    assert store.query(
        f"select sum(sessions), sum(people) from {mart} where shop = '{{shop}}' and currency <> 'EUR'"
    ) == [(0, 0)]
