"""Discounts of a simulated checkout: by code and automatic, on lines, on the whole order and on shipping.

Reads the cart; returns the discounts, allocated as by Shopify.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from ingestion.simulator.catalogue import Product, Variant

Line = tuple[Product, Variant, int]

SALE_PERCENT = 15
SALE_SHARE = 0.12  # of checkouts with a line of the collection on sale
SCRIPT_SHARE = 0.5  # of lines with four units or more
WELCOME_PERCENT = 10
VOUCHER_CENTS = 500


@dataclass(frozen=True)
class Discount:
    """A discount of one checkout; amounts in cents."""

    title: str
    type: str
    target_selection: str
    allocation_method: str
    percentage: int | None  # None: a fixed amount, the sum of its allocations
    line_cents: tuple[int, ...] = ()  # per line; empty: a shipping discount
    shipping_cents: int = 0

    @property
    def is_of_shipping(self) -> bool:
        """Whether it applies to shipping."""
        return not self.line_cents

    @property
    def is_of_order(self) -> bool:
        """Whether it applies to the whole order; then no line's final price includes it."""
        return bool(self.line_cents) and self.target_selection == "ALL"


def discounts_on(lines: Sequence[Line], delivery_cents: int, has_code: bool, rng: Random) -> tuple[Discount, ...]:
    """The discounts of a cart: line discounts first, then order discounts on the remainder."""
    of_lines = list(_of_lines(lines, rng))
    left = [
        variant.price_cents * quantity - sum(discount.line_cents[number] for discount in of_lines)
        for number, (_, variant, quantity) in enumerate(lines)
    ]
    return (*of_lines, *(_by_code(left, delivery_cents, rng) if has_code else ()))


def _of_lines(lines: Sequence[Line], rng: Random) -> Iterator[Discount]:
    on_sale = lines[0][0].collection
    if rng.random() < SALE_SHARE:
        yield Discount(
            f"{on_sale} sale",
            "AUTOMATIC",
            "ENTITLED",
            "EACH",
            SALE_PERCENT,
            tuple(
                round(variant.price_cents * quantity * SALE_PERCENT / 100) if product.collection == on_sale else 0
                for product, variant, quantity in lines
            ),
        )
    elif any(quantity >= 4 for *_, quantity in lines) and rng.random() < SCRIPT_SHARE:
        yield Discount(
            "Four for three",
            "SCRIPT",
            "EXPLICIT",
            "EACH",
            None,
            tuple(variant.price_cents * (quantity // 4) for _, variant, quantity in lines),
        )


def _by_code(left: Sequence[int], delivery_cents: int, rng: Random) -> Iterator[Discount]:
    kind = rng.random()
    if kind < 0.25 and delivery_cents:
        yield _free_shipping(delivery_cents)
        return
    if kind < 0.5 and sum(left) > VOUCHER_CENTS:
        yield Discount("VOUCHER5", "DISCOUNT_CODE", "ALL", "ACROSS", None, _spread(VOUCHER_CENTS, left))
    else:
        off = round(sum(left) * WELCOME_PERCENT / 100)
        title = f"WELCOME{WELCOME_PERCENT}"
        yield Discount(title, "DISCOUNT_CODE", "ALL", "ACROSS", WELCOME_PERCENT, _spread(off, left))
    if delivery_cents and rng.random() < 0.2:
        yield _free_shipping(delivery_cents)


def _free_shipping(delivery_cents: int) -> Discount:
    return Discount("FREESHIP", "DISCOUNT_CODE", "ALL", "EACH", 100, shipping_cents=delivery_cents)


def _spread(cents: int, weights: Sequence[int]) -> tuple[int, ...]:
    """An amount split in proportion to the weights; the parts sum to it exactly."""
    parts, reached = [], 0
    for number in range(1, len(weights) + 1):
        upto = round(cents * sum(weights[:number]) / sum(weights))
        parts.append(upto - reached)
        reached = upto
    return tuple(parts)
