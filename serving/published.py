"""Reads data/published, and defines the contents of a published version.

published/<version>/manifest.json                       list of files, with sizes and SHA-256
published/<version>/pixelnova.duckdb                    every mart, for analysts
published/<version>/metrics.json                        the catalogue of metrics, which defines every figure
published/<version>/runs.json                           the pipeline's last runs
published/<version>/recommendations/                    public, ready for a CDN: no shopper data
    <strategy>.ndjson, <strategy>.parquet               every list of one strategy, all shops
    shops/<shop>/products/<xx>.json                     `Shard`: a product's lists; <xx> by `shard_name`
    shops/<shop>/lists.json                             `ShopLists`: popular and trending
    shops/<shop>/experiments.json                       `Experiments`: who sees what in which experiment, and when
    shops/<shop>/catalogue.json                         `Catalogue`: exactly the products that may be shown
    shops/<shop>/metafields.ndjson                      variables of Shopify's mutation metafieldsSet
    shops/<shop>/metafields_delete.ndjson               of metafieldsDelete: products whose list is empty
published/<version>/private/shops/<shop>/               for the read API only
    visitors/<xx>.json                                  `VisitorShard`: lists by person, and persons by browser
    sessions.parquet                                    past sessions, compared with the session in progress
published/current ▶ the newest version, or an older one after `pixelnova rollback`. Versions are named after their
creation time: 20261122T160455.123Z
"""

from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import msgspec

from serving.errors import ServingError
from serving.leases import Lease
from serving.manifest import MANIFEST, Manifest
from serving.metrics import MetricCatalogue, decode_metrics

CURRENT = "current"
ANALYSTS_FILE = "pixelnova.duckdb"  # not the name of a schema: DuckDB would report it as ambiguous
METRICS_FILE = "metrics.json"
RECOMMENDATIONS = "recommendations"
PRIVATE = "private"
SCHEMA = 1  # version of the document format; incremented on incompatible changes


class NothingPublished(ServingError):
    """There is no published version yet; the message names the remedy."""


class Price(msgspec.Struct, frozen=True):
    """amount: decimal as text, as of the last refresh; the storefront's own price is authoritative."""

    amount: str
    currency: str | None


class Product(msgspec.Struct, frozen=True):
    """A product that may be shown. gid: Shopify's global id, null for products known only from a file or events."""

    product_id: str
    gid: str | None
    handle: str | None
    title: str | None
    vendor: str | None
    type: str | None
    url: str | None
    image: str | None
    price: Price | None


class Reason(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why an item is shown. code: the strategy; support: orders or sessions with both; confidence, lift: of these."""

    code: str
    support: int | None = None
    confidence: float | None = None
    lift: float | None = None


class Item(Product, frozen=True, kw_only=True):
    """A product in a list. position: from 1; score: comparable within one strategy only."""

    position: int
    score: float
    reason: Reason


class Seed(msgspec.Struct, frozen=True):
    """The product being viewed. again: score for viewing it again, on the scale of viewed_together."""

    product_id: str
    gid: str | None
    handle: str | None
    again: float


class Document(msgspec.Struct, frozen=True):
    """A product's lists by placement.

    product_page: the fallback chain, filled up; bought_together, viewed_together: never filled up. The browser and the
    API combine the viewed_together lists of a session's last products.
    """

    seed: Seed
    placements: dict[str, list[Item]]


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """Fields at the start of every public file. generated_at: as_of, UTC."""

    schema: int = SCHEMA
    shop: str
    version: str
    model_version: str
    generated_at: str | None


class Shard(Header, frozen=True, kw_only=True):
    """Documents by product id."""

    products: dict[str, Document]


class ShopLists(Header, frozen=True, kw_only=True):
    """Lists without a seed product: collections by id, the others by name; segments and channels for new visitors."""

    popular: list[Item]
    trending: list[Item]
    collections: dict[str, list[Item]] = {}
    vendors: dict[str, list[Item]] = {}
    types: dict[str, list[Item]] = {}
    segments: dict[str, list[Item]] = {}
    channels: dict[str, list[Item]] = {}


class Catalogue(Header, frozen=True, kw_only=True):
    """All products of a shop that may be shown, by id. diversity: a product's vendor and type; a list holds at most
    `max_per_group` of one such group. Products missing from `diversity` have no group."""

    max_per_group: int
    products: dict[str, Product]
    diversity: dict[str, str]


class ServedVariation(msgspec.Struct, frozen=True):
    """One arm. tiers: the lists to try, in this order; null for the placement's own, empty to show nothing."""

    variation: str
    bucket_from: int
    bucket_to: int
    tiers: list[str] | None


class ServedPhase(msgspec.Struct, frozen=True):
    """A phase of an experiment, as stg_experiments__phases describes it. started_at, ended_at: UTC, to the millisecond.

    audience: devices and channels as a regular expression over the visit's query, its referrer's host and, on a second
    line, its user agent; "" for all.
    """

    experiment: str
    phase: int
    is_holdout: bool
    seed: str
    layer: str | None
    layer_from: int
    layer_to: int
    started_at: str
    ended_at: str | None
    placements: list[str] | None
    devices: list[str] | None
    channels: list[str] | None
    audience: str
    variations: list[ServedVariation]


class Experiments(Header, frozen=True, kw_only=True):
    """All phases of a shop, including past ones, which record what must not be edited. The holdout comes first."""

    experiments: list[ServedPhase] = []


class Visitor(msgspec.Struct, frozen=True, array_like=True):
    """A person's list: (strategy, segment, channel, [(product id, score, reason code)])."""

    strategy: str
    segment: str | None
    channel: str | None
    items: list[tuple[str, float, str]]


class VisitorShard(msgspec.Struct, frozen=True):
    """Lists by journey id, and journey ids by client id. Each entry is in the shard of its own key."""

    journeys: dict[str, Visitor]
    clients: dict[str, str]


def shop_folder(shop: str) -> str:
    """Path of a shop's public files within a version."""
    return f"{RECOMMENDATIONS}/shops/{shop}"


def private_folder(shop: str) -> str:
    """Path of a shop's files for the read API only, within a version."""
    return f"{PRIVATE}/shops/{shop}"


def shard_name(identifier: str) -> str:
    """The shard file of a product or a visitor: one of 256, by FNV-1a (32 bits, folded), which takes three lines in any
    language. The storefront's snippet computes the same."""
    number = 0x811C9DC5
    for byte in identifier.encode():
        number = (number ^ byte) * 0x01000193 & 0xFFFFFFFF
    return f"{(number ^ number >> 16) & 0xFF:02x}.json"


@dataclass(frozen=True)
class Published:
    """One published version; immutable. lease: keeps its files from being removed while this object exists."""

    folder: Path
    manifest: Manifest
    lease: Lease | None = field(default=None, repr=False, compare=False)

    def connect(self) -> duckdb.DuckDBPyConnection:
        """Open the marts, read-only."""
        return duckdb.connect(str(self.folder / ANALYSTS_FILE), read_only=True)

    def metrics(self) -> MetricCatalogue:
        """The metrics as this version defines them; none if older code published it."""
        try:
            return decode_metrics((self.folder / METRICS_FILE).read_bytes())
        except FileNotFoundError:
            return MetricCatalogue([])

    def document(self, shop: str, product_id: str) -> Document | None:
        """The recommendations of one product, as the storefront reads them."""
        file = self.folder / shop_folder(shop) / "products" / shard_name(product_id)
        if not file.exists():
            return None
        return msgspec.json.decode(file.read_bytes(), type=Shard).products.get(product_id)

    def experiments(self, shop: str) -> Experiments:
        """The phases of a shop's experiments; none if older code published this version."""
        try:
            content = (self.folder / shop_folder(shop) / "experiments.json").read_bytes()
        except FileNotFoundError:
            return Experiments(shop=shop, version=self.folder.name, model_version="", generated_at=None)
        return msgspec.json.decode(content, type=Experiments)

    def lists(self, shop: str) -> ShopLists:
        """The lists of a shop without a seed product."""
        return msgspec.json.decode((self.folder / shop_folder(shop) / "lists.json").read_bytes(), type=ShopLists)

    def catalogue(self, shop: str) -> Catalogue:
        """All products that may be shown in a shop."""
        return msgspec.json.decode((self.folder / shop_folder(shop) / "catalogue.json").read_bytes(), type=Catalogue)

    def shops(self) -> list[str]:
        """The shops of this version."""
        return sorted(path.name for path in (self.folder / RECOMMENDATIONS / "shops").iterdir())


def published_folder(data: Path) -> Path:
    """The folder of all versions within a data folder."""
    return data / "published"


def read_current(data: Path) -> Published:
    """The current version, by its resolved path, so that a switch of `current` does not affect an open reader.

    Raises:
        NothingPublished: there is none.
        FileNotFoundError: its files were removed manually.
    """
    current = published_folder(data) / CURRENT
    while current.exists():
        folder = current.resolve()
        try:
            return read_version(folder)
        except FileNotFoundError:
            if current.resolve() == folder:
                raise
    raise NothingPublished(f"Nothing is published in {data} yet: run `pixelnova refresh`.")


def read_version(folder: Path) -> Published:
    """The version in this folder, with a lease on it.

    Raises:
        FileNotFoundError: the version does not exist, or was removed.
    """
    lease = Lease(folder)
    return Published(folder, msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest), lease)
