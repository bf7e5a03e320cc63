"""Pixel events in the exact shape of Shopify's types (npm @shopify/web-pixels-extension 2.18, PixelEvents).

Converts a browser's actions to event dicts, as `analytics.subscribe` passes them to our pixel.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from ingestion.simulator.catalogue import Product, Variant
from ingestion.simulator.discounts import Discount, Line

Event = dict[str, Any]


@dataclass(frozen=True)
class Device:
    """The properties that a browser reports."""

    user_agent: str
    language: str
    width: int
    height: int


def custom_event(page: Event, name: str, happened_at: datetime, custom_data: dict[str, Any], rng: Random) -> Event:
    """A custom event on the page of another event; the caller sets its sequence number."""
    return {
        "id": _event_id(rng),
        "clientId": page["clientId"],
        "name": name,
        "seq": page["seq"],
        "timestamp": _timestamp(happened_at),
        "type": "custom",
        "context": page["context"],
        "customData": custom_data,
    }


def _event_id(rng: Random) -> str:
    return f"sh-{UUID(int=rng.getrandbits(128), version=4)}"


def _timestamp(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


@dataclass
class Browser:
    """One browser storage: stamps each event with its client id, a sequence number and the current page."""

    client_id: str
    device: Device
    host: str
    currency: str
    rng: Random
    referrer: str = ""
    url: str = ""
    title: str = ""
    seq: int = 0
    events: list[Event] = field(default_factory=list)

    def open_page(self, path: str, title: str, happened_at: datetime, referrer: str | None = None) -> None:
        """Open a page of the store and emit page_viewed."""
        self.referrer = self.url if referrer is None else referrer
        self.url, self.title = f"https://{self.host}{path}", title
        self.emit("page_viewed", happened_at, {})

    def emit(self, name: str, happened_at: datetime, data: dict[str, Any]) -> None:
        """Record a standard event."""
        self.seq += 1
        self.events.append(
            {
                "id": _event_id(self.rng),
                "clientId": self.client_id,
                "name": name,
                "seq": self.seq,
                "timestamp": _timestamp(happened_at),
                "type": "standard",
                "context": self._context(),
                "data": data,
            }
        )

    def money(self, cents: int) -> dict[str, Any]:
        """MoneyV2; the amount is a JSON number."""
        return {"amount": cents / 100, "currencyCode": self.currency}

    def variant(self, product: Product, variant: Variant) -> dict[str, Any]:
        """ProductVariant: ids are numeric strings, and only the url has the handle."""
        return {
            "id": str(variant.id),
            "image": {"src": product.image_url},
            "price": self.money(variant.price_cents),
            "product": {
                "id": str(product.id),
                "title": product.title,
                "type": product.product_type,
                "untranslatedTitle": product.title,
                "url": f"/products/{product.handle}",
                "vendor": product.vendor,
            },
            "sku": variant.sku,
            "title": variant.title,
            "untranslatedTitle": variant.title,
        }

    def cart_line(self, product: Product, variant: Variant, quantity: int) -> dict[str, Any]:
        """CartLine of one variant. In Shopify's types, only checkout lines have properties."""
        return {
            "cost": {"totalAmount": self.money(variant.price_cents * quantity)},
            "merchandise": self.variant(product, variant),
            "quantity": quantity,
        }

    def _context(self) -> dict[str, Any]:
        parts = urlsplit(self.url)
        location = {
            "hash": "",
            "host": parts.netloc,
            "hostname": parts.netloc,
            "href": self.url,
            "origin": f"https://{parts.netloc}",
            "pathname": parts.path,
            "port": "",
            "protocol": "https:",
            "search": f"?{parts.query}" if parts.query else "",
        }
        width, height = self.device.width, self.device.height
        return {
            "document": {
                "characterSet": "UTF-8",
                "location": location,
                "referrer": self.referrer,
                "title": self.title,
            },
            "navigator": {
                "cookieEnabled": True,
                "language": self.device.language,
                "languages": [self.device.language, "en"],
                "userAgent": self.device.user_agent,
            },
            "window": {
                "innerHeight": height - 120,
                "innerWidth": width,
                "location": location,
                "origin": f"https://{parts.netloc}",
                "outerHeight": height,
                "outerWidth": width,
                "pageXOffset": 0,
                "pageYOffset": 0,
                "screen": {"height": height, "width": width},
                "screenX": 0,
                "screenY": 0,
                "scrollX": 0,
                "scrollY": 0,
            },
        }


@dataclass
class Checkout:
    """A checkout that fills up step by step; amounts in cents."""

    token: str
    lines: Sequence[Line]
    discounts: Sequence[Discount]
    delivery_cents: int  # before discounts
    tax_percent: float
    customer_id: int | None
    is_first_order: bool

    @property
    def final_line_cents(self) -> list[int]:
        """Price of each line after line discounts, before order discounts."""
        return [
            variant.price_cents * quantity
            - sum(one.line_cents[number] for one in self.discounts if not one.is_of_shipping and not one.is_of_order)
            for number, (_, variant, quantity) in enumerate(self.lines)
        ]

    @property
    def discount_cents(self) -> int:
        """All discounts, including shipping."""
        return sum(sum(discount.line_cents) + discount.shipping_cents for discount in self.discounts)

    @property
    def subtotal_cents(self) -> int:
        """The lines after all discounts."""
        return sum(self.final_line_cents) - sum(sum(one.line_cents) for one in self.discounts if one.is_of_order)

    @property
    def shipping_cents(self) -> int:
        """Delivery after discounts."""
        return self.delivery_cents - sum(discount.shipping_cents for discount in self.discounts)

    @property
    def tax_cents(self) -> int:
        """On top of the subtotal."""
        return round(self.subtotal_cents * self.tax_percent / 100)

    def data(self, browser: Browser, order_id: int | None = None, paid: bool = False) -> dict[str, Any]:
        """Checkout, as the checkout events carry it; with an order id only once completed.

        Without email, phone, name and address: our pixel removes them before sending.
        """
        money = browser.money
        applications = [_application(browser, discount) for discount in self.discounts]
        items = []
        for number, ((product, variant, quantity), final_cents) in enumerate(
            zip(self.lines, self.final_line_cents, strict=True)
        ):
            items.append(
                {
                    "discountAllocations": [
                        {"amount": money(discount.line_cents[number]), "discountApplication": application}
                        for discount, application in zip(self.discounts, applications, strict=True)
                        if discount.line_cents and discount.line_cents[number]
                    ],
                    "finalLinePrice": money(final_cents),
                    "id": str(variant.id * 10 + number + 1),
                    "properties": [],
                    "quantity": quantity,
                    "sellingPlanAllocation": None,
                    "title": product.title,
                    "variant": browser.variant(product, variant),
                }
            )
        total = self.subtotal_cents + self.shipping_cents + self.tax_cents
        customer = {"id": str(self.customer_id), "isFirstOrder": self.is_first_order} if self.customer_id else None
        transaction = {
            "amount": money(total),
            "gateway": "shopify_payments",
            "paymentMethod": {"name": "VISA", "type": "creditCard"},
        }
        return {
            "checkout": {
                "attributes": [],
                "billingAddress": None,
                "buyerAcceptsEmailMarketing": False,
                "buyerAcceptsSmsMarketing": False,
                "currencyCode": browser.currency,
                "delivery": {"selectedDeliveryOptions": self._delivery_options(browser)},
                "discountApplications": applications,
                "discountsAmount": money(self.discount_cents),
                "email": None,
                "lineItems": items,
                "localization": {
                    "country": {"isoCode": "US"},
                    "language": {"isoCode": browser.device.language},
                    "market": {"handle": "us", "id": "gid://shopify/Market/1"},
                },
                "order": {
                    "customer": customer,
                    "id": f"gid://shopify/OrderIdentity/{order_id}" if order_id else None,
                },
                "phone": None,
                "shippingAddress": None,
                "shippingLine": {"price": money(self.shipping_cents)},
                "smsMarketingPhone": None,
                "subtotalPrice": money(self.subtotal_cents),
                "token": self.token,
                "totalPrice": money(total),
                "totalTax": money(self.tax_cents),
                "transactions": [transaction] if paid else [],
            }
        }

    def _delivery_options(self, browser: Browser) -> list[dict[str, Any]]:
        if not self.delivery_cents:
            return []
        return [
            {
                "cost": browser.money(self.delivery_cents),
                "costAfterDiscounts": browser.money(self.shipping_cents),
                "description": None,
                "handle": f"{self.token}-standard",
                "title": "Standard",
                "type": "shipping",
            }
        ]


def _application(browser: Browser, discount: Discount) -> dict[str, Any]:
    """DiscountApplication: a code's title is the code."""
    amount = browser.money(sum(discount.line_cents))
    return {
        "allocationMethod": discount.allocation_method,
        "targetSelection": discount.target_selection,
        "targetType": "SHIPPING_LINE" if discount.is_of_shipping else "LINE_ITEM",
        "title": discount.title,
        "type": discount.type,
        "value": amount if discount.percentage is None else {"percentage": discount.percentage},
    }
