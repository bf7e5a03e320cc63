"""The demo shop behind its pages: products of the published catalogue, carts and checkouts in memory.

data/published flows in; what pages show flows out. Carts and orders end with the process.
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
    """Products of one kind in a cart. properties: as a form gives them; a leading _ hides them from shoppers."""

    product: Product
    quantity: int
    properties: dict[str, str]

    @property
    def total(self) -> Decimal:
        """Price times quantity."""
        return amount_of(self.product) * self.quantity

    def facts(self) -> dict[str, Any]:
        """What the page's scripts need to tell the pixel of it."""
        return {"product": product_facts(self.product), "quantity": self.quantity, "properties": self.properties}


@dataclass
class Cart:
    """What one browser has chosen.

    checkout: the token of what becomes of it. order_id: once it is bought. untold: lines that a form without scripts
    has added, of which the next page tells the pixel.
    """

    token: str
    lines: list[Line] = field(default_factory=list)
    checkout: str = field(default_factory=lambda: secrets.token_hex(16))
    order_id: str | None = None
    untold: list[Line] = field(default_factory=list)

    @property
    def total(self) -> Decimal:
        """Of all lines."""
        return sum((line.total for line in self.lines), Decimal(0))

    @property
    def quantity(self) -> int:
        """Of all lines."""
        return sum(line.quantity for line in self.lines)

    @property
    def currency(self) -> str | None:
        """Of its first line: a shop has one."""
        return currency_of(self.lines[0].product) if self.lines else None

    def add(self, product: Product, quantity: int, properties: dict[str, str]) -> Line:
        """Put products into the cart; those with the same properties become one line. Answers what was added."""
        for line in self.lines:
            if line.product.product_id == product.product_id and line.properties == properties:
                line.quantity = min(line.quantity + quantity, MAX_QUANTITY)
                break
        else:
            if len(self.lines) < MAX_LINES:
                self.lines.append(Line(product, quantity, properties))
        return Line(product, quantity, properties)

    def facts(self) -> dict[str, Any]:
        """What the page's scripts need to tell the pixel of it."""
        return {
            "token": self.token,
            "checkout": self.checkout,
            "order_id": self.order_id,
            "currency": self.currency,
            "lines": [line.facts() for line in self.lines],
        }


class DemoShop:
    """The newest published version of one shop, and who has what in the cart."""

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
        """What the shop shows, what sells best first."""
        self._follow()
        return list(self._products.values())

    def product(self, handle: str) -> Product | None:
        """The product with that handle."""
        self._follow()
        return self._products.get(handle)

    def product_of_variant(self, variant: str) -> Product | None:
        """The product with that variant."""
        return next((one for one in self.products() if variant_id(one) == variant), None)

    def cart(self, token: str | None) -> Cart:
        """The cart of a browser; a new one if there is none, or if it has been bought."""
        cart = self._carts.get(token or "")
        if cart is None or cart.order_id:
            cart = Cart(secrets.token_hex(16))
            self._carts[cart.token] = cart
            while len(self._carts) > CARTS_KEPT:
                self._carts.popitem(last=False)
        return cart

    def of_checkout(self, token: str) -> Cart | None:
        """The cart that is checked out, or was."""
        return next((cart for cart in self._carts.values() if cart.checkout == token), None)

    def buy(self, cart: Cart) -> None:
        """Make an order of a cart, once."""
        cart.order_id = cart.order_id or str(5_400_000_000_000 + secrets.randbelow(10**11))

    def _follow(self) -> None:
        published = self.published()
        if published.folder == self._version:
            return
        catalogue = published.catalogue(self.shop).products
        popular = [item.product_id for item in published.lists(self.shop).popular]
        ids = dict.fromkeys([*(one for one in popular if one in catalogue), *catalogue])
        self._products = {catalogue[one].handle: catalogue[one] for one in ids if catalogue[one].handle}
        self._version = published.folder


def variant_id(product: Product) -> str:
    """What is bought of it: the published files know no variants, so each product has one."""
    return f"{product.product_id}1"


def amount_of(product: Product) -> Decimal:
    """Its price; 0 where none is known."""
    try:
        return Decimal(product.price.amount) if product.price else Decimal(0)
    except InvalidOperation:
        return Decimal(0)


def currency_of(product: Product) -> str | None:
    """Of its price."""
    return product.price.currency if product.price else None


def product_facts(product: Product) -> dict[str, Any]:
    """What the page's scripts need to tell the pixel of it."""
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
    """The line item properties among the fields of a form."""
    found = ((PROPERTY.fullmatch(name), value) for name, value in fields.items())
    return {name[1]: value[:MAX_PROPERTY] for name, value in found if name and value}


def tile(product: Product) -> dict[str, Any]:
    """What stands for a product's picture: initials on a colour of its own."""
    words = [word for word in (product.title or "?").split() if word[0].isalpha()]
    initials = "".join(word[0] for word in words[:2]).upper() or "?"
    return {"initials": initials, "hue": zlib.crc32(product.product_id.encode()) % 360}
