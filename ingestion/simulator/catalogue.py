"""The simulated store's catalogue: about 300 kitchen products with variants, vendors, collections and companions.

Generates a `Catalogue` from a seed. Companions are planted structure: shoppers who buy a product often buy its
companion too, so that tests know what "bought together" must find.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

# collection ▶ product types with their typical price in whole currency units
COLLECTIONS: dict[str, dict[str, int]] = {
    "Coffee": {"Espresso Machine": 420, "Grinder": 130, "Kettle": 75, "Beans": 17, "Filter": 9},
    "Tea": {"Teapot": 48, "Infuser": 14, "Tea Tin": 19, "Loose Tea": 12, "Tea Bowl": 22},
    "Baking": {"Mixer": 260, "Baking Tin": 24, "Rolling Pin": 21, "Flour": 7, "Piping Set": 18},
    "Knives": {"Chef Knife": 110, "Paring Knife": 42, "Whetstone": 55, "Knife Block": 85, "Board": 38},
    "Cookware": {"Skillet": 68, "Saucepan": 74, "Dutch Oven": 190, "Lid": 26, "Trivet": 16},
    "Table": {"Plate": 19, "Bowl": 17, "Cutlery Set": 90, "Napkin": 11, "Carafe": 34},
    "Bar": {"Shaker": 36, "Tumbler": 15, "Bitters": 13, "Jigger": 12, "Ice Mould": 17},
    "Pantry": {"Jar": 9, "Spice": 6, "Olive Oil": 24, "Salt": 8, "Mill": 46},
}
VENDORS = ["Northfold", "Alder & Ash", "Kiln Street", "Mori", "Halden", "Bright Copper", "Tidewater", "Ostra", "Fenn"]
ADJECTIVES = ["Classic", "Everyday", "Artisan", "Matte", "Heirloom", "Little", "Grand", "Coastal", "Rustic", "Nordic"]
COLOURS = ["Ink", "Sand", "Moss", "Clay", "Snow"]
PRODUCTS_PER_COLLECTION = 38


@dataclass(frozen=True)
class Variant:
    """One variant of a product; price and cost in cents of the shop's currency. cost_cents: None where not entered."""

    id: int
    title: str
    sku: str
    position: int
    price_cents: int
    compare_at_cents: int | None
    inventory: int
    cost_cents: int | None = None


@dataclass(frozen=True)
class Product:
    """One product. `is_published`: shoppers can see it; `status`: the Admin API's ProductStatus."""

    id: int
    title: str
    handle: str
    vendor: str
    product_type: str
    collection: str
    status: str
    is_published: bool
    created_at: datetime
    variants: tuple[Variant, ...]

    @property
    def image_url(self) -> str:
        """URL of its (nonexistent) picture."""
        return f"https://cdn.shopify.com/s/files/1/0000/0001/products/{self.handle}.jpg"

    @property
    def in_stock(self) -> bool:
        """Whether any variant can be bought."""
        return any(variant.inventory > 0 for variant in self.variants)


@dataclass(frozen=True)
class Catalogue:
    """All products and their companions, and what is sold out for a while."""

    products: tuple[Product, ...]
    companions: dict[int, Product] = field(repr=False)  # product id ▶ its companion
    sell_outs: Mapping[int, tuple[datetime, datetime]] = field(default_factory=dict)  # product id ▶ from, until

    def sells(self, product: Product, at: datetime) -> bool:
        """Whether the product is not sold out at this time."""
        begin, end = self.sell_outs.get(product.id, (at, at))
        return not begin <= at < end

    def published(self, collection: str) -> list[Product]:
        """The published products of a collection, most popular first."""
        return [product for product in self.products if product.collection == collection and product.is_published]


def build_catalogue(seed: int) -> Catalogue:
    """The catalogue of a seed; the same seed gives the same catalogue."""
    rng = Random(f"catalogue/{seed}")
    products = [
        _product(rng, number, collection)
        for number, collection in enumerate(
            collection for collection in COLLECTIONS for _ in range(PRODUCTS_PER_COLLECTION)
        )
    ]
    companions = {}
    for collection in COLLECTIONS:
        sellable = [p for p in products if p.collection == collection and p.is_published and p.in_stock]
        for product in sellable:
            others = [p for p in sellable if p.product_type != product.product_type]
            companions[product.id] = rng.choice(others)
    return Catalogue(tuple(products), companions)


def _product(rng: Random, number: int, collection: str) -> Product:
    product_type = rng.choice(list(COLLECTIONS[collection]))
    vendor = rng.choice(VENDORS)
    title = f"{rng.choice(ADJECTIVES)} {vendor} {product_type} No. {number + 1}"
    status = rng.choices(["ACTIVE", "DRAFT", "ARCHIVED"], [94, 4, 2])[0]
    price_cents = max(100, round(COLLECTIONS[collection][product_type] * rng.lognormvariate(0, 0.25)) * 100 - 1)
    product_id = 7_300_000_000_000 + number * 3_571
    return Product(
        id=product_id,
        title=title,
        handle="".join(c if c.isalnum() else "-" for c in title.lower()).replace("---", "-").replace("--", "-"),
        vendor=vendor,
        product_type=product_type,
        collection=collection,
        status=status,
        is_published=status == "ACTIVE" and rng.random() > 0.03,
        created_at=datetime(2025, 1, 1, 9, tzinfo=UTC) + timedelta(hours=rng.randrange(24 * 300)),
        variants=_variants(rng, number, price_cents, _cost_cents(product_id, price_cents)),
    )


def _cost_cents(product_id: int, price_cents: int) -> int | None:
    """The unit cost of a product: 35 to 65 % of its price; unknown for one product in eight."""
    rng = Random(f"cost/{product_id}")
    return None if rng.random() < 0.125 else round(price_cents * rng.uniform(0.35, 0.65))


def _variants(rng: Random, number: int, price_cents: int, cost_cents: int | None) -> tuple[Variant, ...]:
    titles = rng.sample(COLOURS, rng.randint(2, 4)) if rng.random() < 0.4 else ["Default Title"]
    sold_out = rng.random() < 0.06
    on_sale = rng.random() < 0.15
    return tuple(
        Variant(
            id=41_900_000_000_000 + number * 3_571 + position,
            title=title,
            sku=f"PN-{number + 1:04d}-{position}",
            position=position,
            price_cents=price_cents,
            compare_at_cents=round(price_cents * 1.25) if on_sale else None,
            inventory=0 if sold_out else rng.randint(1, 200),
            cost_cents=cost_cents,
        )
        for position, title in enumerate(titles, start=1)
    )
