"""The one reader of data/published, and the contract of what a version holds.

published/20261122T160455.123Z/manifest.json                          what is in it, with sizes and SHA-256
published/20261122T160455.123Z/analytics.duckdb                       every mart, for analysts
published/20261122T160455.123Z/recommendations/bought_together.ndjson one line per product
published/20261122T160455.123Z/recommendations/products/<xx>.json     the same, by the first two hex digits of
                                                                      md5("<shop>/<product id>")
published/current ▶ the newest version
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import msgspec

CURRENT = "current"
MANIFEST = "manifest.json"
ANALYTICS = "analytics.duckdb"
BOUGHT_TOGETHER = "recommendations/bought_together.ndjson"
SHARDS = "recommendations/products"


class NothingPublished(Exception):
    """There is no published version yet; the message names the remedy."""


class PublishedFile(msgspec.Struct):
    """One file of a version. path: relative to the version's folder; rows: what it holds of them, if it does."""

    path: str
    bytes: int
    sha256: str
    rows: int | None = None


class Manifest(msgspec.Struct):
    """What a version says of itself. as_of: newest received_at behind it, UTC; rows_by_table: of analytics.duckdb."""

    version: str
    published_at: str
    as_of: str | None
    rows_by_table: dict[str, int]
    files: list[PublishedFile]


@dataclass(frozen=True)
class Published:
    """One published version; it does not change while it is read."""

    folder: Path
    manifest: Manifest

    def connect(self) -> duckdb.DuckDBPyConnection:
        """The marts, read-only."""
        return duckdb.connect(str(self.folder / ANALYTICS), read_only=True)

    def bought_together(self, shop: str, product_id: str) -> dict[str, Any] | None:
        """The recommendations of one product, as the storefront reads them."""
        shard = self.folder / SHARDS / shard_name(shop, product_id)
        if not shard.exists():
            return None
        return msgspec.json.decode(shard.read_bytes()).get(f"{shop}/{product_id}")


def published_folder(data: Path) -> Path:
    """The folder of all versions within a data folder."""
    return data / "published"


def shard_name(shop: str, product_id: str) -> str:
    """The shard file that holds a product: 256 of them, evenly filled."""
    return hashlib.md5(f"{shop}/{product_id}".encode()).hexdigest()[:2] + ".json"


def read_current(data: Path) -> Published:
    """The newest version, under its own name, so that a switch of `current` does not change it while it is read.

    Raises:
        NothingPublished: there is none.
    """
    current = published_folder(data) / CURRENT
    if not current.exists():
        raise NothingPublished(f"Nothing is published in {data} yet: run `pixelnova refresh`.")
    folder = current.resolve()
    return Published(folder, msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest))
