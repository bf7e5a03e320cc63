"""Carts that were emptied, swapped, viewed and left, in one visit and over several; the client id names the case."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count

import pytest

SHOP = 'timezone = "Asia/Tokyo"\ncurrency = "EUR"\n'
START = datetime(2026, 11, 10, 12)
PRICE = 10


def cart_line(product, quantity=1, variant=True) -> dict:
    merchandise = {"price": {"amount": PRICE, "currencyCode": "EUR"}, "product": {"id": str(product)}}
    if variant:
        merchandise["id"] = f"{product}1"
    cost = {"totalAmount": {"amount": PRICE * (quantity or 1), "currencyCode": "EUR"}}
    return {"quantity": quantity, "merchandise": merchandise, "cost": cost}


def add(product, quantity=1, **how) -> tuple[str, dict]:
    return "product_added_to_cart", {"cartLine": cart_line(product, quantity, **how)}


def remove(product, quantity=1, **how) -> tuple[str, dict]:
    return "product_removed_from_cart", {"cartLine": cart_line(product, quantity, **how)}


def view(*lines, **cart) -> tuple[str, dict]:
    whole = {"lines": [cart_line(*line) for line in lines], "totalQuantity": sum(line[1] for line in lines)}
    return "cart_viewed", {"cart": whole | cart}


def buy(number, *products) -> tuple[str, dict]:
    lines = [
        {"quantity": 1, "finalLinePrice": {"amount": PRICE}, "variant": {"product": {"id": str(product)}}}
        for product in products
    ]
    checkout = {"token": f"t{number}", "currencyCode": "EUR", "order": {"id": str(number)}, "lineItems": lines}
    return "checkout_completed", {"checkout": checkout}


LATER = timedelta(days=1)  # the next visit
MUCH_LATER = timedelta(days=8)
SAME_MOMENT = timedelta(0)
EMPTY = view()

# name: (steps, state of the first visit's cart, units left of each product that it put in)
CARTS = {
    "kept": ([add(1, 2)], "abandoned", {1: 2}),
    "emptied": ([add(1, 2), remove(1, 2)], "emptied", {}),
    "emptied one by one": ([add(1, 2), remove(1), remove(1)], "emptied", {}),
    "removed in part": ([add(1, 3), remove(1)], "abandoned", {1: 2}),
    "added again": ([add(1), remove(1), add(1)], "abandoned", {1: 1}),
    "swapped": ([add(2), add(3), remove(2)], "abandoned", {3: 1}),
    "swapped the other way": ([add(3), add(2), remove(3)], "abandoned", {2: 1}),
    "an empty view": ([add(1), EMPTY], "emptied", {}),
    "an empty view, then another add": ([add(1), EMPTY, add(3)], "abandoned", {3: 1}),
    "a view before the add": ([EMPTY, add(1)], "abandoned", {1: 1}),
    "a view of what is left": ([add(1), add(3, 2), view((3, 1))], "abandoned", {3: 1}),
    "a view of more than was added": ([add(3), view((3, 4), (9, 1))], "abandoned", {3: 4}),
    "removed by product only": ([add(1), remove(1, variant=False)], "emptied", {}),
    "removed what lay there before": ([remove(1), add(1)], "abandoned", {1: 1}),
    "emptied a day later": ([add(1), LATER, remove(1)], "emptied", {}),
    "viewed empty a day later": ([add(1), LATER, EMPTY], "emptied", {}),
    "viewed full a day later": ([add(1), LATER, view((1, 1))], "abandoned", {1: 1}),
    "emptied much later": ([add(1), MUCH_LATER, EMPTY], "abandoned", {1: 1}),
    "added to a day later": ([add(1), LATER, add(1), remove(1)], "abandoned", {1: 1}),
    "a view without lines": ([add(1), view(lines=None)], "abandoned", {1: 1}),
    "a view too long to be sent": ([add(1), view(lines=[], totalQuantity=140)], "abandoned", {1: 1}),
    "a view that was cut": ([add(1), view((3, 1), linesComplete=False)], "abandoned", {1: 1}),
    "in one moment": ([add(1), SAME_MOMENT, remove(1)], "emptied", {}),
    "the other way round in one moment": ([remove(1), SAME_MOMENT, add(1)], "abandoned", {1: 1}),
    "bought, then viewed empty": ([add(1, 2), buy(1, 1), EMPTY], "converted", {1: 2}),
    "taken out, and bought a day later": ([add(1), remove(1), LATER, buy(2, 1)], "recovered", {}),
    "no quantity": ([add(1, None), remove(1, None)], "emptied", {}),
    "a quantity that cannot be negated": ([add(1, -(2**31)), add(3)], "abandoned", {3: 1}),
}


def events() -> Iterator[dict]:
    numbers = count()
    for name, (steps, *_) in CARTS.items():
        at, sequence = START, count(1)
        pause = timedelta(minutes=1)
        for step in steps:
            if isinstance(step, timedelta):
                at, pause = at + step, SAME_MOMENT
                continue
            at, pause = at + pause, timedelta(minutes=1)
            event_name, data = step
            yield {
                "id": f"{1000 - next(numbers)}",  # ids are not in the order of events
                "name": event_name,
                "clientId": name,
                "timestamp": f"{at.isoformat(timespec='milliseconds')}Z",
                "seq": next(sequence),
                "type": "standard",
                "data": data,
            }


EVENTS = list(events())


@pytest.mark.parametrize("name", CARTS)
def test_carts_have_the_remaining_units(store, name):
    _, state, left = CARTS[name]
    found = store.query(
        "select carts.cart_state, carts.units, carts.cart_amount from analytics.carts inner join core.sessions "
        f"using (session_id) where carts.shop = '{{shop}}' and client_id = '{name}' order by started_at limit 1"
    )
    units = sum(left.values())
    assert found == [(state, units, Decimal(PRICE * units))]


def test_a_product_taken_out_is_not_abandoned(store):
    ranked = store.query(
        "select product_id, hits from analytics.product_rankings "
        "where shop = '{shop}' and ranking = 'abandoned' and window_days = 30"
    )
    left = [product for _, state, products in CARTS.values() if state == "abandoned" for product in products]
    assert dict(ranked) == {"1": left.count(1), "3": left.count(3)}
