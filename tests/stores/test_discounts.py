"""Orders with line, order and shipping discounts, from senders with net and with gross line amounts.

Each order has its own client; the amounts of its lines are checked against its subtotal.
"""

from decimal import Decimal

import pytest

SHOP = 'timezone = "America/New_York"\ncurrency = "USD"\n'


def application(selection="ALL", method="ACROSS", target="LINE_ITEM", kind="DISCOUNT_CODE") -> dict:
    """A discount application of the pixel API; None values are absent."""
    fields = {"targetSelection": selection, "allocationMethod": method, "targetType": target}
    return {"type": kind, "title": kind, "value": {"percentage": 10}} | {k: v for k, v in fields.items() if v}


ORDER = application()
SCRIPT = application("EXPLICIT", "ONE", kind="SCRIPT")
PRODUCT = application("ENTITLED", "EACH", kind="AUTOMATIC")
SHIPPING = application("ALL", "EACH", "SHIPPING_LINE")


def line(price, quantity, final, *discounts, product=None) -> dict:
    """A checkout's line; a discount is an amount and its application (None: not named)."""
    allocations = [
        {"amount": {"amount": off}} | ({"discountApplication": applied} if applied else {})
        for off, applied in discounts
    ]
    variant = {"id": str(product or price), "price": {"amount": price}, "product": {"id": str(product or price)}}
    found = {"quantity": quantity, "variant": variant, "discountAllocations": allocations}
    return found if final is None else found | {"finalLinePrice": {"amount": final}}


def order(name, lines, subtotal, currency="USD", applications=None, **checkout) -> dict:
    """A checkout_completed event, with the order's name as the client."""
    amounts = {"subtotalPrice": {"amount": subtotal}} if subtotal is not None else {}
    named = {} if applications is None else {"discountApplications": applications}
    return {
        "id": f"event of {name}",
        "name": "checkout_completed",
        "clientId": name,
        "timestamp": "2026-11-20T12:00:00.000Z",
        "type": "standard",
        "data": {
            "checkout": {"token": f"t-{name}", "currencyCode": currency, "order": {"id": name}, "lineItems": lines}
            | amounts
            | named
            | checkout
        },
    }


def delivery(cost, after) -> dict:
    return {"selectedDeliveryOptions": [{"cost": {"amount": cost}, "costAfterDiscounts": {"amount": after}}]}


HUGE = 99_999_999_999_999.98  # the largest amount that is kept
# name: (event, amounts of its lines, amount_basis, discount_amount, shipping_discount_amount)
ORDERS = {
    "one code of the order": (
        order("101", [line(30, 2, 60, (6, ORDER), product=7)], 54, applications=[ORDER], discountsAmount={"amount": 6}),
        ["54"],
        "less_order_discounts",
        "6",
        "0",
    ),
    "two codes of the order, one of shipping": (
        order(
            "102",
            [line(30, 1, 30, (3, ORDER), (1.35, ORDER)), line(10, 3, 30, (3, ORDER), (1.35, ORDER))],
            51.3,
            applications=[ORDER, ORDER, SHIPPING],
            discountsAmount={"amount": 15.7},
            delivery=delivery(7, 0),
        ),
        ["25.65", "25.65"],
        "less_order_discounts",
        "8.7",
        "7",
    ),
    "automatic discount of a product, script and code of the order": (
        order(
            "103",
            [line(50, 2, 80, (20, PRODUCT), (8, ORDER)), line(20, 1, 15, (5, SCRIPT), (1.5, ORDER))],
            85.5,
            applications=[PRODUCT, SCRIPT, ORDER],
        ),
        ["72", "13.5"],
        "less_order_discounts",
        "34.5",
        "0",
    ),
    "lines that are net already": (
        order("104", [line(50, 1, 45, (5, ORDER)), line(30, 1, 27, (3, ORDER))], 72, applications=[ORDER]),
        ["45", "27"],
        "as_sent",
        "8",
        "0",
    ),
    "a discount of lines only": (
        order("105", [line(50, 1, 40, (10, PRODUCT)), line(5, 1, 5)], 45, applications=[PRODUCT]),
        ["40", "5"],
        "as_sent",
        "10",
        "0",
    ),
    "everything free": (
        order("106", [line(50, 2, 100, (100, ORDER))], 0, applications=[ORDER], discountsAmount={"amount": 100}),
        ["0"],
        "less_order_discounts",
        "100",
        "0",
    ),
    "a gift beside a code": (
        order("107", [line(40, 1, 40, (4, ORDER)), line(12, 1, 0, (12, PRODUCT))], 36, applications=[PRODUCT, ORDER]),
        ["36", "0"],
        "less_order_discounts",
        "16",
        "0",
    ),
    "allocations without an application": (
        order("108", [line(40, 1, 40, (4, None)), line(20, 1, 20, (2, None))], 54),
        ["36", "18"],
        "less_unclear_discounts",
        "6",
        None,
    ),
    "unnamed allocations of lines that are net": (
        order("109", [line(40, 1, 36, (4, None))], 36),
        ["36"],
        "as_sent",
        "4",
        None,
    ),
    "an order discount that leaves out some lines": (
        order("110", [line(40, 1, 40, (4, application("ENTITLED", "ACROSS"))), line(20, 1, 20)], 56, applications=[]),
        ["36", "20"],
        "less_unclear_discounts",
        "4",
        "0",
    ),
    "final prices before all discounts": (
        order("111", [line(40, 1, 40, (5, PRODUCT), (3.5, ORDER))], 31.5, applications=[PRODUCT, ORDER]),
        ["31.5"],
        "less_all_discounts",
        "8.5",
        "0",
    ),
    "a code for some lines that is not in their final price": (
        order("128", [line(40, 1, 30, (10, PRODUCT), (5, application("ENTITLED", "EACH"))), line(9, 1, 9)], 34),
        ["25", "9"],
        "less_unclear_discounts",
        "15",
        None,
    ),
    "a code for some lines that is in their final price": (
        order("129", [line(40, 1, 35, (5, application("ENTITLED", "EACH")), (3.5, ORDER))], 31.5),
        ["31.5"],
        "less_order_discounts",
        "8.5",
        None,
    ),
    "rounded by a cent": (
        order("112", [line(9.99, 1, 9.99, (3.33, ORDER)), line(9.99, 1, 9.99, (3.33, ORDER))], 13.33),
        ["6.66", "6.66"],
        "less_order_discounts",
        "6.66",
        None,
    ),
    "rounded by a yen": (
        order("113", [line(999, 1, 999, (333, ORDER))], 665, currency="JPY"),
        ["666"],
        "less_order_discounts",
        "333",
        None,
    ),
    "no subtotal, but a total": (
        order(
            "114",
            [line(50, 1, 45, (5, ORDER))],
            None,
            totalPrice={"amount": 53},
            totalTax={"amount": 3},
            shippingLine={"price": {"amount": 5}},
        ),
        ["45"],
        "as_sent",
        "5",
        None,
    ),
    "nothing to compare with": (
        order("115", [line(50, 1, 50, (5, ORDER))], None),
        ["45"],
        "not_verified",
        "5",
        None,
    ),
    "no reading sums up": (
        order("116", [line(50, 1, 50, (5, ORDER))], 20),
        ["50"],
        "differs_from_subtotal",
        "5",
        None,
    ),
    "no final price": (
        order("117", [line(25, 2, None, (10, ORDER))], 40, applications=[]),
        ["40"],
        "as_sent",
        "10",
        "0",
    ),
    "no final price, unit prices already reduced": (
        order("118", [line(20, 2, None, (10, ORDER))], 40, applications=[]),
        ["40"],
        "before_discounts",
        "10",
        "0",
    ),
    "a final price of one line only": (
        order("119", [line(25, 2, None, (5, ORDER)), line(10, 1, 10, (1, ORDER))], 54),
        ["45", "9"],
        "less_order_discounts",
        "6",
        None,
    ),
    "free shipping only, by its application": (
        order("120", [line(40, 1, 40)], 40, applications=[SHIPPING], discountsAmount={"amount": 9}),
        ["40"],
        "as_sent",
        "0",
        "9",
    ),
    "free shipping only, by the delivery": (
        order("121", [line(40, 1, 40)], 40, delivery=delivery(9, 0), discountsAmount={"amount": 9}),
        ["40"],
        "as_sent",
        "0",
        "9",
    ),
    "a sum of discounts and no allocation": (
        order("122", [line(40, 1, 36)], 36, discountsAmount={"amount": 4}),
        ["36"],
        "as_sent",
        "4",
        None,
    ),
    "lines that were cut": (
        order(
            "123",
            [line(40, 1, 40, (4, ORDER))],
            999,
            linesComplete=False,
            lineCount=150,
            applications=[ORDER],
            discountsAmount={"amount": 111},
        ),
        ["36"],
        "not_verified",
        "111",
        "0",
    ),
    "no line of many": (
        order("124", [], 999, applications=[ORDER, SHIPPING], discountsAmount={"amount": 120}, delivery=delivery(9, 0)),
        [],
        "not_verified",
        "111",
        "9",
    ),
    "a return": (
        order("125", [line(40, -1, -40, (-4, ORDER))], -36),
        ["-36"],
        "less_order_discounts",
        "-4",
        None,
    ),
    "amounts that are too large to be added": (
        order(
            "126",
            [line(HUGE, 2_147_483_647, HUGE, (-HUGE, ORDER), (-HUGE, None)), line(HUGE, 1, None, (HUGE, SHIPPING))],
            HUGE,
            discountsAmount={"amount": -HUGE},
            delivery=delivery(HUGE, -HUGE),
            linesComplete="perhaps",
            lineCount=1e300,
        ),
        None,
        "differs_from_subtotal",
        None,
        None,
    ),
    "discounts that are not a list": (
        order("127", [line(40, 1, 40) | {"discountAllocations": "ten"}, 5, None], 40, applications="all", delivery=3),
        None,
        "as_sent",
        "0",
        "0",
    ),
}
EVENTS = [event for event, *_ in ORDERS.values()]


@pytest.fixture(params=ORDERS, ids=str)
def found(store, request):
    """An order's row and line amounts, actual and expected."""
    event, *expected = ORDERS[request.param]
    order_id = event["data"]["checkout"]["order"]["id"]
    [row] = store.query(
        "select amount_basis, discount_amount, shipping_discount_amount, lines_complete, line_items from core.orders "
        f"where shop = '{{shop}}' and order_id = '{order_id}'"
    )
    items = store.query(
        "select amount, amount_basis from core.order_items "
        f"where shop = '{{shop}}' and order_id = '{order_id}' order by line_number"
    )
    return row, items, expected


def test_lines_are_net_of_all_discounts_and_sum_to_the_subtotal(found):
    (basis, *_), items, (amounts, expected_basis, *_) = found
    assert basis == expected_basis
    assert {basis for _, basis in items} <= {expected_basis}
    if amounts is not None:
        assert [amount for amount, _ in items] == [Decimal(amount) for amount in amounts]


def test_line_and_shipping_discounts_are_separate(found):
    (_, discount, shipping_discount, *_), _, (*_, expected, expected_shipping) = found
    if expected is not None:
        assert discount == Decimal(expected)
        assert shipping_discount == (None if expected_shipping is None else Decimal(expected_shipping))


def test_orders_state_whether_their_lines_are_complete(store):
    assert store.query(
        "select order_id, line_items from core.orders where shop = '{shop}' and not lines_complete order by all"
    ) == [("123", 150), ("124", 0)]


def test_sales_of_a_product_are_net(store):
    assert store.query(
        "select units, sales_amount from analytics.daily_product where shop = '{shop}' and product_id = '7'"
    ) == [(2, Decimal(54))]
