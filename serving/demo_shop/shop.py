"""The demo shop's state: products of the published catalogue, carts and checkouts in memory.

Reads data/published, provides data for pages. Carts and orders are lost when the process ends.
"""

import re
import secrets
import zlib
from collections import OrderedDict
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from serving.published import Product, Published, read_current

CARTS_KEPT = 1000
MAX_LINES = 100
MAX_QUANTITY = 99
MAX_PROPERTY = 255  # characters
PER_PAGE = 24
PROPERTY = re.compile(r"properties\[([^\]]{1,64})\]")


@dataclass
class Line:
    """A cart line. properties: line item properties from the form; a leading _ hides them from shoppers."""

    product: Product
    quantity: int
    properties: dict[str, str]

    @property
    def total(self) -> Decimal:
        """Price times quantity."""
        return amount_of(self.product) * self.quantity

    def facts(self) -> dict[str, Any]:
        """Data for the page's scripts, which publish events."""
        return {"product": product_facts(self.product), "quantity": self.quantity, "properties": self.properties}


@dataclass
class Cart:
    """The cart of one browser.

    checkout: token of its checkout. order_id: set once it is bought. unreported: lines added by a form without
    scripts; the next page publishes their events.
    """

    token: str
    lines: list[Line] = field(default_factory=list)
    checkout: str = field(default_factory=lambda: secrets.token_hex(16))
    order_id: str | None = None
    unreported: list[Line] = field(default_factory=list)

    @property
    def total(self) -> Decimal:
        """Total price of all lines."""
        return sum((line.total for line in self.lines), Decimal(0))

    @property
    def quantity(self) -> int:
        """Total quantity of all lines."""
        return sum(line.quantity for line in self.lines)

    @property
    def currency(self) -> str | None:
        """The currency of the first line; a shop has only one."""
        return currency_of(self.lines[0].product) if self.lines else None

    def add(self, product: Product, quantity: int, properties: dict[str, str]) -> Line:
        """Add products, merging lines with the same properties; returns what was added."""
        for line in self.lines:
            if line.product.product_id == product.product_id and line.properties == properties:
                line.quantity = min(line.quantity + quantity, MAX_QUANTITY)
                break
        else:
            if len(self.lines) < MAX_LINES:
                self.lines.append(Line(product, quantity, properties))
        return Line(product, quantity, properties)

    def facts(self) -> dict[str, Any]:
        """Data for the page's scripts, which publish events."""
        return {
            "token": self.token,
            "checkout": self.checkout,
            "order_id": self.order_id,
            "currency": self.currency,
            "lines": [line.facts() for line in self.lines],
        }


class DemoShop:
    """The newest published version of one shop, and its carts."""

    def __init__(self, data: Path, shop: str) -> None:
        """data: the data folder. shop: its domain."""
        self._data = data
        self.shop = shop
        self._carts: OrderedDict[str, Cart] = OrderedDict()
        self._version: Path | None = None
        self._products: dict[str, Product] = {}

    def published(self) -> Published:
        """The newest version.

        Raises:
            NothingPublished: there is none.
        """
        return read_current(self._data)

    def products(self) -> list[Product]:
        """All products, popular ones first."""
        self._reload()
        return list(self._products.values())

    def product(self, handle: str) -> Product | None:
        """The product with that handle."""
        self._reload()
        return self._products.get(handle)

    def product_of_variant(self, variant: str) -> Product | None:
        """The product with that variant."""
        return next((product for product in self.products() if variant_id(product) == variant), None)

    def cart(self, token: str | None) -> Cart:
        """The browser's cart; a new one if it has none or the order is placed."""
        cart = self._carts.get(token or "")
        if cart is None or cart.order_id:
            cart = Cart(secrets.token_hex(16))
            self._carts[cart.token] = cart
            while len(self._carts) > CARTS_KEPT:
                self._carts.popitem(last=False)
        return cart

    def of_checkout(self, token: str) -> Cart | None:
        """The cart of a checkout."""
        return next((cart for cart in self._carts.values() if cart.checkout == token), None)

    def buy(self, cart: Cart) -> None:
        """Turn the cart into an order; repeated calls have no effect."""
        cart.order_id = cart.order_id or str(5_400_000_000_000 + secrets.randbelow(10**11))

    def _reload(self) -> None:
        published = self.published()
        if published.folder == self._version:
            return
        catalogue = published.catalogue(self.shop).products
        popular = [item.product_id for item in published.lists(self.shop).popular]
        ids = dict.fromkeys([*(popular_id for popular_id in popular if popular_id in catalogue), *catalogue])
        self._products = {product.handle: product for product in map(catalogue.__getitem__, ids) if product.handle}
        self._version = published.folder


def variant_id(product: Product) -> str:
    """The variant id; published files have no variants, so each product gets one."""
    return f"{product.product_id}1"


def amount_of(product: Product) -> Decimal:
    """The price; 0 if unknown."""
    try:
        return Decimal(product.price.amount) if product.price else Decimal(0)
    except InvalidOperation:
        return Decimal(0)


def currency_of(product: Product) -> str | None:
    """The currency of its price."""
    return product.price.currency if product.price else None


def product_facts(product: Product) -> dict[str, Any]:
    """Data for the page's scripts, which publish events."""
    return {
        "product_id": product.product_id,
        "variant_id": variant_id(product),
        "title": product.title,
        "vendor": product.vendor,
        "type": product.type,
        "handle": product.handle,
        "image": product.image,
        "amount": float(amount_of(product)),
        "currency": currency_of(product),
    }


def properties_of(fields: dict[str, str]) -> dict[str, str]:
    """The line item properties among a form's fields."""
    found = ((PROPERTY.fullmatch(name), value) for name, value in fields.items())
    return {name[1]: value[:MAX_PROPERTY] for name, value in found if name and value}


def tile(product: Product) -> dict[str, Any]:
    """The placeholder image of a product: its initials on a colour derived from its id."""
    words = [word for word in (product.title or "?").split() if word[0].isalpha()]
    initials = "".join(word[0] for word in words[:2]).upper() or "?"
    return {"initials": initials, "hue": zlib.crc32(product.product_id.encode()) % 360}
