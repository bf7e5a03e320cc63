"""A shop without Admin API: a guest, a customer with two currencies, codes, baskets, and an order without a person."""

from datetime import date
from decimal import Decimal

import pytest

CODE = {"type": "DISCOUNT_CODE", "targetType": "LINE_ITEM", "targetSelection": "ALL", "allocationMethod": "ACROSS"}


def line(product, price, code=None, off=0) -> dict:
    """One unit; with a code, `off` of the price."""
    found = {
        "quantity": 1,
        "finalLinePrice": {"amount": price},
        "variant": {
            "id": product,
            "price": {"amount": price},
            "product": {"id": product, "type": f"type of {product[0]}"},
        },
    }
    allocations = [{"amount": {"amount": off}, "discountApplication": {**CODE, "title": code}}] if code else []
    return found | {"discountAllocations": allocations}


def order(number, client, day, lines, total, currency="EUR", customer=None, **checkout) -> dict:
    return {
        "id": f"order {number}",
        "name": "checkout_completed",
        "clientId": client,
        "timestamp": f"{day}T12:00:00.000Z",
        "type": "standard",
        "data": {
            "checkout": {
                "token": client and f"t{number}",
                "currencyCode": currency,
                "order": {"id": str(number), "customer": customer and {"id": customer}},
                "lineItems": lines,
                "subtotalPrice": {"amount": total},
                "totalPrice": {"amount": total},
                **checkout,
            }
        },
    }


def view(client, day) -> dict:
    page = f"https://shop.example/pages/{client}"
    return {
        "id": f"view {client} {day}",
        "name": "page_viewed",
        "clientId": client,
        "timestamp": f"{day}T12:00:00.000Z",
        "type": "standard",
        "context": {"document": {"location": {"href": f"{page}?utm_medium=email", "pathname": f"/pages/{client}"}}},
        "data": {},
    }


TRIO = [line("11", 10), line("22", 20), line("33", 5)]
PAIR = [line("11", 10), line("22", 20)]
EVENTS = [
    # A guest, who comes back in the same browser: first with a code, later at full price.
    view("anna", "2026-08-30"),
    order(1, "anna", "2026-09-02", [line("11", 10, "Hello", 1)], 9, discountApplications=[{**CODE, "title": "HELLO"}]),
    order(2, "anna", "2026-09-09", [line("11", 10)], 10),
    order(3, "anna", "2026-10-25", TRIO, 35),
    # A customer on two devices and in two currencies, never at full price.
    order(4, "phone", "2026-10-01", [line("33", 5, "hello", 2)], 3, customer="7"),
    order(5, "laptop", "2026-10-31", [line("33", 6, "HELLO", 2)], 4, "USD", customer="7"),
    order(6, "laptop", "2026-11-20", [line("33", 5, "HELLO", 2)], 3, customer="7"),
    # An order without a person, and without information about discounts.
    order(7, None, "2026-11-01", [one | {"discountAllocations": None} for one in TRIO], 35),
    # Baskets.
    order(8, "b", "2026-11-02", TRIO, 35),
    order(9, "c", "2026-11-02", [*PAIR, line("44", 1)], 31),
    *(order(10 + n, f"d{n}", "2026-11-03", [line("55", 2)], 2) for n in range(12)),
]


@pytest.fixture
def guest(store) -> str:
    [(journey,)] = store.query("select journey_id from core.identity_map where shop = '{shop}' and identifier = 'anna'")
    return journey


def test_a_guest_is_one_customer_and_net_is_unknown_without_admin_api(store, guest):
    assert store.query(
        "select customer_id, orders, returning_orders, discounted_orders, days_to_first_order, first_product_id, "
        "first_discount_code, first_channel, first_landing_path, gross_amount, new_gross_amount, refunded_amount, "
        f"net_amount, margin_amount, net_margin_amount from analytics.customer_value where journey_id = '{guest}'"
    ) == [(None, 3, 2, 1, 3, "11", "HELLO", "email", "/pages/anna", Decimal(54), Decimal(9), None, None, None, None)]


def test_currencies_of_a_person_are_not_mixed_and_share_the_first_order(store):
    assert store.query(
        "select currency, cohort_month, orders, returning_orders, gross_amount, new_gross_amount "
        "from analytics.customer_value where shop = '{shop}' and customer_id = '7' order by currency"
    ) == [
        ("EUR", date(2026, 10, 1), 2, 1, Decimal(6), Decimal(3)),
        ("USD", date(2026, 10, 1), 1, 1, Decimal(4), Decimal(0)),
    ]


def test_orders_without_a_person_are_in_no_cohort(store):
    assert store.query(
        "select sum(gross_amount) from analytics.customer_cohorts "
        "where shop = '{shop}' and dimension = 'all' and currency = 'EUR'"
    ) == [(Decimal(54 + 6 + 35 + 31 + 24),)]


def test_small_values_are_pooled_and_unknown_net_is_null(store):
    found = store.query(
        "select distinct dimension_value, people_with_net, net_amount_by_refund_date, people_with_margin, "
        "margin_amount_per_person from analytics.customer_cohorts "
        "where shop = '{shop}' and dimension = 'first_product' order by 1"
    )
    assert found == [("55", 0, None, 0, None), ("other", 0, None, 0, None)]


def test_codes_are_one_regardless_of_case_and_followed_to_later_orders(store):
    assert store.query(
        "select currency, discount_kind, discount, orders, new_orders, returning_orders, discount_amount, people, "
        "repeat_buyers, never_at_full_price, later_full_price_orders, later_full_price_amount, "
        "later_discounted_amount from analytics.discounts "
        "where shop = '{shop}' and discount_kind <> 'any' order by all"
    ) == [
        ("EUR", "code", "HELLO", 3, 2, 1, Decimal(5), 2, 2, 1, 2, Decimal(45), Decimal(3)),
        ("EUR", "none", "*", 16, 14, 2, Decimal(0), 15, 1, 0, 1, Decimal(35), Decimal(0)),
        ("EUR", "not reported", "*", 1, 0, 0, None, 0, 0, 0, 0, Decimal(0), Decimal(0)),
        ("USD", "code", "HELLO", 1, 0, 1, Decimal(2), 1, 0, 0, 0, Decimal(0), Decimal(0)),
    ]


def test_intervals_are_of_products_types_and_the_shop(store):
    assert store.query(
        "select item_kind, item, orders, buyers, repeat_buyers, intervals, median_days "
        "from analytics.reorder_intervals where shop = '{shop}' and intervals > 0 order by all"
    ) == [
        ("product", "11", 5, 3, 1, 2, 26.5),
        ("product", "33", 5, 3, 1, 2, 25),
        ("product_type", "type of 1", 5, 3, 1, 2, 26.5),
        ("product_type", "type of 3", 5, 3, 1, 2, 25),
        ("shop", "*", 20, 16, 2, 4, 25),
    ]


def test_a_person_with_a_rhythm_is_due(store):
    assert store.query(
        "select customer_id, product_id, orders, basis, expected_days, due_on, days_overdue "
        "from analytics.due_to_reorder where shop = '{shop}'"
    ) == [(None, "11", 3, "person", 27, date(2026, 11, 21), 3)]


def test_basket_sizes_and_attach_rates(store):
    assert store.query(
        "select contains, products, orders, attach_rate, units, subtotal_amount from analytics.basket_sizes "
        "where shop = '{shop}' and currency = 'EUR' and contains in ('all', 'type of 2', 'type of 5') order by all"
    ) == [
        ("all", 1, 16, 0.2, 16, Decimal(49)),
        ("all", 3, 4, 0.2, 12, Decimal(136)),
        ("type of 2", 3, 4, 1, 12, Decimal(136)),
        ("type of 5", 1, 12, 0, 12, Decimal(24)),
    ]


def test_pairs_and_triples_that_are_ordered_together(store):
    found = store.query(
        "select product_id_1, product_id_2, product_id_3, orders, support, lift, attach_rate, price_amount, "
        "margin_amount from analytics.bundle_candidates where shop = '{shop}' order by all"
    )
    orders = 21
    assert [row[:4] for row in found] == [
        ("11", "22", "33", 3),
        ("11", "22", None, 4),
        ("11", "33", None, 3),
        ("22", "33", None, 3),
    ]
    trio, pair, *_ = found
    assert trio[4:7] == pytest.approx((3 / orders, 3 * orders**2 / (6 * 4 * 6), 3 / 4))
    assert pair[4:7] == pytest.approx((4 / orders, 4 * orders / (6 * 4), 1))
    assert trio[7:] == (Decimal(35), None)
