"""Shoppers with habits: they order the same product at a steady rhythm, as customers or guests, some only with a code.

From a day, generates the visits and orders of the regulars who first visit on it, with separate random generators.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from uuid import UUID
from zoneinfo import ZoneInfo

from ingestion.shops import Shop
from ingestion.simulator.catalogue import Catalogue, Product, Variant
from ingestion.simulator.discounts import WELCOME_PERCENT, Discount
from ingestion.simulator.orders import PlacedOrder
from ingestion.simulator.pixel_events import Browser, Checkout, Device, Event

RHYTHMS = {"Beans": 7, "Loose Tea": 6, "Spice": 9}  # product type ▶ days between orders
FIRST_ORDER_AFTER = 2  # days after the first visit
REGULARS_PER_DAY = 0.6
GUESTS = 0.4
CODE_ONLY = 0.3  # share of regulars who order only with a code
NEWSLETTER = "?utm_source=newsletter&utm_medium=email&utm_campaign=weekly"
PHONE = Device(
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.6 Mobile/15E148 Safari/604.1",
    "en-US",
    390,
    844,
)


@dataclass(frozen=True)
class Visit:
    """The standard events of one visit, and the order that it ended with."""

    events: Sequence[Event]
    order: PlacedOrder | None


@dataclass(frozen=True)
class Regular:
    """One person. customer_id: None for a guest, who keeps the same browser. needs_code: orders only with a code."""

    product: Product
    customer_id: int | None
    needs_code: bool
    visits: Sequence[Visit]


def regulars_of(shop: Shop, catalogue: Catalogue, seed: int, day: date, life: timedelta) -> Iterator[Regular]:
    """The regulars whose first visit is on this day; they keep ordering for `life`."""
    rng = Random(f"regulars/{seed}/{day}")
    if rng.random() < REGULARS_PER_DAY:
        product_type = rng.choice(list(RHYTHMS))
        # The least popular one, so that their many orders do not distort other results.
        *_, product = (
            one for one in catalogue.products if one.product_type == product_type and one.is_published and one.in_stock
        )
        customer_id = None if rng.random() < GUESTS else 6_200_000_000_000 + rng.randrange(10**9)
        needs_code = rng.random() < CODE_ONLY
        client_id = str(UUID(int=rng.getrandbits(128), version=4))
        browser = Browser(client_id, PHONE, shop.domain, shop.currency, rng)
        variant = next(one for one in product.variants if one.inventory > 0)
        visits = [_visit(browser, product, variant, _time(shop, day, 0, rng), None)]
        after = FIRST_ORDER_AFTER
        while after < life.days:
            at = _time(shop, day, after, rng)
            checkout = _checkout(product, variant, customer_id, needs_code, len(visits) == 1, rng)
            visits.append(_visit(browser, product, variant, at, checkout if catalogue.sells(product, at) else None))
            after += RHYTHMS[product_type] + rng.choice([-1, 0, 0, 0, 1])
        yield Regular(product, customer_id, needs_code, visits)


def _time(shop: Shop, day: date, after: int, rng: Random) -> datetime:
    local = time(rng.randint(9, 20), rng.randrange(60), rng.randrange(60))
    return datetime.combine(day + timedelta(days=after), local, ZoneInfo(shop.timezone)).astimezone(UTC)


def _checkout(
    product: Product, variant: Variant, customer_id: int | None, has_code: bool, is_first: bool, rng: Random
) -> Checkout:
    off = round(variant.price_cents * WELCOME_PERCENT / 100)
    title = f"WELCOME{WELCOME_PERCENT}"
    code = Discount(title, "DISCOUNT_CODE", "ALL", "ACROSS", WELCOME_PERCENT, (off,))
    return Checkout(
        token=f"{rng.getrandbits(128):032x}",
        lines=[(product, variant, 1)],
        discounts=[code] if has_code else [],
        delivery_cents=0 if variant.price_cents >= 7500 else 695,
        tax_percent=6.25,
        customer_id=customer_id,
        is_first_order=is_first,
    )


def _visit(browser: Browser, product: Product, variant: Variant, at: datetime, checkout: Checkout | None) -> Visit:
    """The product's page and, with a checkout, an order."""
    browser.events = []
    browser.open_page(f"/products/{product.handle}{NEWSLETTER}", product.title, at, referrer="")
    browser.emit(
        "product_viewed", at + timedelta(milliseconds=150), {"productVariant": browser.variant(product, variant)}
    )
    if checkout is None:
        return Visit(browser.events, None)
    line = browser.cart_line(product, variant, 1)
    browser.emit("product_added_to_cart", at + timedelta(seconds=20), {"cartLine": line})
    path = f"/checkouts/cn/{checkout.token}"
    browser.open_page(path, "Checkout", at + timedelta(seconds=40))
    browser.emit("checkout_started", at + timedelta(seconds=41), checkout.data(browser))
    browser.emit("payment_info_submitted", at + timedelta(seconds=120), checkout.data(browser))
    order_id = 5_500_000_000_000 + browser.rng.randrange(10**11)
    placed_at = at + timedelta(seconds=130)
    browser.open_page(f"{path}/thank-you", "Thank you", placed_at)
    browser.emit(
        "checkout_completed", placed_at + timedelta(milliseconds=300), checkout.data(browser, order_id, paid=True)
    )
    return Visit(browser.events, _placed(browser, checkout, order_id, placed_at))


def _placed(browser: Browser, checkout: Checkout, order_id: int, at: datetime) -> PlacedOrder:
    return PlacedOrder(
        id=order_id,
        checkout_token=checkout.token,
        source_name="web",
        placed_at=at,
        currency=browser.currency,
        customer_id=checkout.customer_id,
        lines=tuple(checkout.lines),
        discounted_cents=tuple(checkout.final_line_cents),
        subtotal_cents=checkout.subtotal_cents,
        discount_cents=checkout.discount_cents,
        shipping_cents=checkout.shipping_cents,
        tax_cents=checkout.tax_cents,
    )
