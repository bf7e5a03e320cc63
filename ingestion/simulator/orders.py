"""Orders of the simulated shop: from the online store and from elsewhere, with later refunds and cancellations.

Converts completed checkouts to `PlacedOrder`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from random import Random

from ingestion.shops import Shop
from ingestion.simulator.catalogue import Catalogue, Product, Variant


@dataclass(frozen=True)
class PlacedOrder:
    """An order in the shop, whether or not the pixel saw it; amounts in cents, net of discounts."""

    id: int
    checkout_token: str | None  # None: not from the online store
    source_name: str  # Shopify's: "web", "pos" for the point of sale, "shopify_draft_order"
    placed_at: datetime
    currency: str
    customer_id: int | None
    lines: Sequence[tuple[Product, Variant, int]]
    discounted_cents: Sequence[int]  # per line, after line discounts and before order discounts
    subtotal_cents: int
    discount_cents: int
    shipping_cents: int
    tax_cents: int
    is_test: bool = False
    cancelled_at: datetime | None = None
    refunded_at: datetime | None = None
    refunded_cents: int = 0

    @property
    def total_cents(self) -> int:
        """The total at checkout."""
        return self.subtotal_cents + self.shipping_cents + self.tax_cents

    @property
    def updated_at(self) -> datetime:
        """Time of its latest change."""
        return max(at for at in (self.placed_at, self.cancelled_at, self.refunded_at) if at)


def till_orders(shop: Shop, catalogue: Catalogue, seed: int, day: date) -> Iterator[PlacedOrder]:
    """Orders at the point of sale, which no pixel sees."""
    rng = Random(f"till/{seed}/{day}")
    for _ in range(rng.randint(0, 3)):
        product = rng.choice([one for one in catalogue.products if one.is_published and one.in_stock])
        variant = rng.choice(product.variants)
        yield PlacedOrder(
            id=5_700_000_000_000 + rng.randrange(10**11),
            checkout_token=None,
            source_name="pos",
            placed_at=datetime.combine(day, time(rng.randint(14, 22), rng.randrange(60)), UTC),
            currency=shop.currency,
            customer_id=None,
            lines=((product, variant, 1),),
            discounted_cents=(variant.price_cents,),
            subtotal_cents=variant.price_cents,
            discount_cents=0,
            shipping_cents=0,
            tax_cents=round(variant.price_cents * 0.08875),
        )


def draft_orders(shop: Shop, catalogue: Catalogue, seed: int, day: date) -> Iterator[PlacedOrder]:
    """Orders that staff take by telephone and enter as drafts, which no pixel sees: one every other day."""
    rng = Random(f"drafts/{seed}/{day}")
    if rng.random() < 0.5:
        product = rng.choice([one for one in catalogue.products if one.is_published and one.in_stock])
        variant, quantity = rng.choice(product.variants), rng.randint(2, 8)
        cents = variant.price_cents * quantity
        yield PlacedOrder(
            id=5_800_000_000_000 + rng.randrange(10**11),
            checkout_token=None,
            source_name="shopify_draft_order",
            placed_at=datetime.combine(day, time(rng.randint(14, 22), rng.randrange(60)), UTC),
            currency=shop.currency,
            customer_id=None,
            lines=((product, variant, quantity),),
            discounted_cents=(cents,),
            subtotal_cents=cents,
            discount_cents=0,
            shipping_cents=695,
            tax_cents=0,
        )


def with_aftermath(order: PlacedOrder, end: datetime) -> PlacedOrder:
    """The order as of `end`: seeded by its id, so that a later end only adds changes."""
    rng = Random(f"aftermath/{order.id}")
    fate, days = rng.random(), rng.uniform(0.1, 12)
    at = (order.placed_at + timedelta(days=days)).replace(microsecond=0)
    is_test = order.source_name == "web" and rng.random() < 0.01
    if at >= end or fate >= 0.09:
        return replace(order, is_test=is_test)
    if fate < 0.02:
        return replace(order, is_test=is_test, cancelled_at=at, refunded_at=at, refunded_cents=order.total_cents)
    _, variant, quantity = order.lines[0]
    part = min(order.subtotal_cents, variant.price_cents * quantity)
    return replace(order, is_test=is_test, refunded_at=at, refunded_cents=part)
