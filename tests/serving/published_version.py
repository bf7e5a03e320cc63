"""Writes published versions for tests, by the contract of serving/published.py and without a warehouse.

Takes a seed, writes a version's folder and points `current` to it. The same seed gives the same recommendations.
"""

import hashlib
import math
import random
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pyarrow
from pyarrow import parquet

from serving.manifest import MANIFEST, Manifest, PublishedFile
from serving.published import (
    CURRENT,
    Catalogue,
    Document,
    Experiments,
    Item,
    Price,
    Product,
    Published,
    Reason,
    Seed,
    Shard,
    ShopLists,
    Visitor,
    VisitorShard,
    private_folder,
    published_folder,
    shard_name,
    shop_folder,
)

SHOP = "pixelnova-demo.myshopify.com"
MODEL_VERSION = "test-model-1"
GENERATED_AT = "2026-11-22T16:04:55.123000+00:00"
MAX_PER_GROUP = 3
ITEMS = 12
VENDORS = ("Altona", "Barmbek", "Eimsbüttel", "Ottensen")
TYPES = ("Lamp", "Chair", "Rug", "Vase & Bowl")
COLLECTIONS = ("501", "502")
SEGMENTS = ("champions", "new")
CHANNELS = ("direct", "organic_search")
FIRST_PRODUCT = 1001
FIRST_HIDDEN = 900001  # ineligible products that occur in sessions
PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="


def write_version(
    data: Path, shop: str = SHOP, products: int = 40, seed: int = 1, *, sessions: int = 300, faulty: bool = False
) -> Published:
    """Write a version into the data folder and make it the current one.

    The catalogue's last product has no document, as if it were new, and one ineligible product has a document.
    faulty: the lists violate the rules, with hidden products, the seed itself, duplicates, and too many of a group.
    """
    rng = random.Random(f"{seed} {shop} {products}")
    folder = published_folder(data)
    folder.mkdir(parents=True, exist_ok=True)
    version = _next_version(folder)
    head = {"shop": shop, "version": version, "model_version": MODEL_VERSION, "generated_at": GENERATED_AT}
    shown = [_product(str(FIRST_PRODUCT + number), rng) for number in range(products)]
    hidden = [_product(str(FIRST_HIDDEN + number), rng) for number in range(max(1, products // 8))]
    diversity = {
        product.product_id: f"{product.vendor}|{product.type}" for product in shown[: products - products // 10]
    }
    lists = _Lists(shown, hidden, diversity, rng, faulty)
    documents = {product.product_id: lists.document(product) for product in [*shown[:-1], hidden[0]]}
    target = folder / version
    _write_public(target, head, shown, diversity, documents, lists)
    _write_private(target, shop, shown, hidden, rng, sessions)
    manifest = _write_manifest(target, version)
    link = folder / f".unfinished-{CURRENT}"
    link.unlink(missing_ok=True)
    link.symlink_to(version)
    link.replace(folder / CURRENT)
    return Published(target, manifest)


class _Lists:
    """Draws random lists from a catalogue, valid ones or, if faulty, invalid ones."""

    def __init__(
        self,
        shown: list[Product],
        hidden: list[Product],
        diversity: dict[str, str],
        rng: random.Random,
        faulty: bool,
    ) -> None:
        self._shown, self._hidden, self._diversity = shown, hidden, diversity
        self._rng, self._faulty = rng, faulty

    def document(self, seed: Product) -> Document:
        again = round(self._rng.random(), 4) if self._rng.random() < 0.7 else 0.0
        placements = {
            "product_page": self.draw(ITEMS, "similar", seed),
            "bought_together": self.draw(self._rng.choice((0, 2, 6)), "bought_together", seed),
            "viewed_together": self.draw(self._rng.choice((1, 8, 20)), "viewed_together", seed),
        }
        return Document(Seed(seed.product_id, seed.gid, seed.handle, again), placements)

    def draw(
        self, length: int, code: str, seed: Product | None = None, among: Iterable[Product] | None = None
    ) -> list[Item]:
        pool = list(self._shown if among is None else among)
        if self._faulty:
            pool += [*self._hidden, *pool[:3], *([seed] if seed else [])]
        self._rng.shuffle(pool)
        items, in_group = [], defaultdict(int)
        for product in pool:
            group = self._diversity.get(product.product_id)
            forbidden = product == seed or (group and in_group[group] == MAX_PER_GROUP)
            if len(items) == length or (forbidden and not self._faulty):
                continue
            in_group[group] += 1
            items.append(_item(product, len(items) + 1, code))
        return items


def _next_version(folder: Path) -> str:
    """A name from the current time, newer than all existing versions."""
    moment = datetime.now(UTC)
    while True:
        version = f"{moment:%Y%m%dT%H%M%S}.{moment.microsecond // 1000:03d}Z"
        if all(path.name < version for path in folder.glob("2*Z")):
            return version
        moment += timedelta(milliseconds=1)


def _product(product_id: str, rng: random.Random) -> Product:
    vendor, kind = rng.choice(VENDORS), rng.choice(TYPES)
    handle = f"{kind.split()[0].lower()}-{product_id}"
    return Product(
        product_id=product_id,
        gid=f"gid://shopify/Product/{product_id}" if rng.random() < 0.9 else None,
        handle=handle,
        title=f"{kind} {product_id} “{vendor}”",
        vendor=vendor,
        type=kind,
        url=f"/products/{handle}",
        image=PIXEL if rng.random() < 0.8 else None,
        price=Price(f"{rng.randrange(500, 90000) / 100:.2f}", "EUR") if rng.random() < 0.9 else None,
    )


def _item(product: Product, position: int, code: str) -> Item:
    reason = (
        Reason(code, support=20 - position % 10, confidence=0.25, lift=1.5)
        if code.endswith("together")
        else Reason(code)
    )
    return Item(
        **msgspec.structs.asdict(product), position=position, score=round(1 / math.sqrt(position), 6), reason=reason
    )


def _write_public(
    target: Path,
    head: dict[str, str],
    shown: list[Product],
    diversity: dict[str, str],
    documents: dict[str, Document],
    lists: _Lists,
) -> None:
    folder = target / shop_folder(head["shop"])
    catalogue = Catalogue(
        **head,
        max_per_group=MAX_PER_GROUP,
        products={product.product_id: product for product in shown},
        diversity=diversity,
    )
    shop_lists = ShopLists(
        **head,
        popular=lists.draw(len(shown), "popular"),
        trending=lists.draw(ITEMS, "trending"),
        collections={
            collection: lists.draw(ITEMS, "popular_in_collection", among=shown[number :: len(COLLECTIONS)])
            for number, collection in enumerate(COLLECTIONS)
        },
        vendors={
            vendor: lists.draw(
                ITEMS, "popular_in_vendor", among=[product for product in shown if product.vendor == vendor]
            )
            for vendor in sorted({product.vendor for product in shown})
        },
        types={
            kind: lists.draw(ITEMS, "popular_in_type", among=[product for product in shown if product.type == kind])
            for kind in sorted({product.type for product in shown})
        },
        segments={segment: lists.draw(ITEMS, "popular_in_segment") for segment in SEGMENTS},
        channels={channel: lists.draw(ITEMS, "popular_in_channel") for channel in CHANNELS},
    )
    _write(folder / "catalogue.json", catalogue)
    _write(folder / "lists.json", shop_lists)
    _write(folder / "experiments.json", Experiments(**head))
    shards: dict[str, dict[str, Document]] = defaultdict(dict)
    for product_id, document in documents.items():
        shards[shard_name(product_id)][product_id] = document
    for name, products in shards.items():
        _write(folder / "products" / name, Shard(**head, products=products))


def _write_private(
    target: Path, shop: str, shown: list[Product], hidden: list[Product], rng: random.Random, sessions: int
) -> None:
    folder = target / private_folder(shop)
    shards: dict[str, VisitorShard] = defaultdict(lambda: VisitorShard({}, {}))
    for number in range(1, 11):
        journey, client = f"journey-{number}", f"client-{number}"
        chosen = rng.sample(shown, min(8, len(shown)))
        items = [(product.product_id, round(1 / rank, 4), "for_you") for rank, product in enumerate(chosen, 1)]
        visitor = Visitor("for_you", rng.choice(SEGMENTS), rng.choice(CHANNELS), items)
        shards[shard_name(journey)].journeys[journey] = visitor
        shards[shard_name(client)].clients[client] = journey
    for name, shard in shards.items():
        _write(folder / "visitors" / name, shard)
    _write_sessions(folder / "sessions.parquet", [product.product_id for product in shown + hidden], rng, sessions)


def _write_sessions(file: Path, product_ids: list[str], rng: random.Random, sessions: int) -> None:
    rows = [
        (session, place, product_id)
        for session in range(sessions)
        for place, product_id in enumerate(rng.sample(product_ids, min(len(product_ids), rng.randrange(2, 8))), 1)
    ]
    write_sessions(file, rows)


def write_sessions(file: Path, rows: list[tuple[int, int, str]]) -> None:
    """Write sorted rows of (session number, place, product id) as a shop's sessions."""
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    names = ("session_number", "place", "product_id")
    kinds = (pyarrow.int32(), pyarrow.int32(), pyarrow.string())
    arrays = {name: pyarrow.array(column, kind) for name, column, kind in zip(names, columns, kinds, strict=True)}
    file.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.table(arrays), file)


def _write_manifest(target: Path, version: str) -> Manifest:
    files = [
        PublishedFile(
            path=str(path.relative_to(target)),
            bytes=path.stat().st_size,
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in sorted(target.rglob("*"))
        if path.is_file()
    ]
    manifest = Manifest(
        version=version,
        published_at=datetime.now(UTC).isoformat(),
        as_of=GENERATED_AT,
        rows_by_table={},
        files=files,
        model_version=MODEL_VERSION,
    )
    (target / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
    return manifest


def _write(file: Path, content: msgspec.Struct) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.encode(content))
