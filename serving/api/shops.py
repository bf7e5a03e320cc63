"""One published version in memory, shop by shop.

Reads a version's files: catalogue, lists and sessions at start, documents and visitors on request.
"""

import asyncio
from collections import OrderedDict
from typing import Generic, NamedTuple, TypeVar

import msgspec

from serving.api.refusals import Problem
from serving.api.session_neighbours import SessionNeighbours, ViewedTogether
from serving.errors import ServingError
from serving.published import (
    SCHEMA,
    Published,
    Reason,
    Seed,
    Visitor,
    VisitorShard,
    private_folder,
    shard_name,
    shop_folder,
)

SHARD_BYTES = 64 * 1024 * 1024  # cached undecoded shards, per shop
DOCUMENTS = 2048  # cached decoded documents, per shop
ANSWER_BYTES = 32 * 1024 * 1024  # cached responses, per version

Key = TypeVar("Key")
Value = TypeVar("Value")


class VersionGone(ServingError):
    """Files of a version were removed because newer versions exist."""


class Candidate(msgspec.Struct, frozen=True):
    """The fields of a published item that selection needs; the product comes from the catalogue."""

    product_id: str
    score: float
    reason: Reason


class Lists(msgspec.Struct, frozen=True):
    """The fields of a published document that are needed here."""

    seed: Seed
    placements: dict[str, list[Candidate]]


class Known(NamedTuple):
    """A product's lists, ready for use."""

    lists: Lists
    together: ViewedTogether


class RawShard(msgspec.Struct):
    """Undecoded documents of a shard: most are never requested."""

    products: dict[str, msgspec.Raw]


class LruCache(Generic[Key, Value]):
    """Least-recently-used cache, bounded by the sum of weights."""

    def __init__(self, bound: int) -> None:
        self._bound, self._weight = bound, 0
        self._entries: OrderedDict[Key, tuple[Value, int]] = OrderedDict()

    def get(self, key: Key) -> Value | None:
        """The cached value, or None."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: Key, value: Value, weight: int = 1) -> None:
        """Cache a value and evict the least recently used ones."""
        if key in self._entries:
            self._weight -= self._entries.pop(key)[1]
        self._entries[key] = (value, weight)
        self._weight += weight
        while self._weight > self._bound:
            self._weight -= self._entries.popitem(last=False)[1][1]


class Shop:
    """A shop in one version: catalogue, lists and sessions in memory, documents read on request."""

    def __init__(self, published: Published, name: str, files: set[str]) -> None:
        """files: all files of the version, by its manifest; one that is missing on disk has been removed.

        Raises:
            OSError: the version cannot be read, or was removed.
        """
        self.name = name
        self.catalogue, self.lists = published.catalogue(name), published.lists(name)
        self.experiments = published.experiments(name)
        for document in (self.catalogue, self.lists, self.experiments):
            if document.schema > SCHEMA:
                raise ValueError(
                    f"its documents have schema {document.schema}, this API supports {SCHEMA}: update the API"
                )
        self.head = {name: getattr(self.lists, name) for name in ("shop", "version", "model_version", "generated_at")}
        self._folder, self._files = published.folder, files
        self.settings = published.manifest.settings
        sessions = f"{private_folder(name)}/sessions.parquet"
        self.neighbours = (
            SessionNeighbours.read(self._folder / sessions, self.settings) if self._has(sessions) else None
        )
        self._shards: LruCache[str, RawShard] = LruCache(SHARD_BYTES)
        self._known: LruCache[str, Known] = LruCache(DOCUMENTS)

    async def known(self, product_id: str) -> Known | None:
        """A product's lists.

        Raises:
            VersionGone: their file was removed.
        """
        known = self._known.get(product_id)
        if known is not None:
            return known
        name = shard_name(product_id)
        shard = self._shards.get(name)
        if shard is None:
            content = await asyncio.to_thread(self._read, f"{shop_folder(self.name)}/products/{name}")
            shard = RawShard({}) if content is None else msgspec.json.decode(content, type=RawShard)
            self._shards.put(name, shard, len(content or b""))
        document = shard.products.get(product_id)
        if document is None:
            return None
        lists = msgspec.json.decode(document, type=Lists)
        scores = {item.product_id: item.score for item in lists.placements.get("viewed_together", [])}
        known = Known(lists, ViewedTogether(lists.seed.again, scores))
        self._known.put(product_id, known)
        return known

    async def visitor(self, visitor_id: str, by_journey: bool) -> Visitor | None:
        """A person's list, by client id. Personal data is not cached.

        by_journey: whether a journey id is accepted as well.

        Raises:
            VersionGone: its file was removed.
        """
        shard = await self._visitors(visitor_id)
        if by_journey and visitor_id in shard.journeys:
            return shard.journeys[visitor_id]
        journey_id = shard.clients.get(visitor_id)
        return None if journey_id is None else (await self._visitors(journey_id)).journeys.get(journey_id)

    async def _visitors(self, identifier: str) -> VisitorShard:
        path = f"{private_folder(self.name)}/visitors/{shard_name(identifier)}"
        content = await asyncio.to_thread(self._read, path)
        return VisitorShard({}, {}) if content is None else msgspec.json.decode(content, type=VisitorShard)

    def _read(self, path: str) -> bytes | None:
        try:
            return (self._folder / path).read_bytes()
        except FileNotFoundError as error:
            if path in self._files:
                raise VersionGone(f"files of {self._folder} were removed") from error
            return None

    def _has(self, path: str) -> bool:
        return path in self._files or (self._folder / path).exists()


class Version:
    """A published version in memory, with its cached responses and its lease."""

    def __init__(self, published: Published) -> None:
        self._published = published  # its lease keeps the files until the last request is answered
        manifest = published.manifest
        self.name, self.model_version, self.as_of = published.folder.name, manifest.model_version, manifest.as_of
        files = {file.path for file in manifest.files}
        # from the manifest too, so that a shop whose folder was removed is noticed
        shops = {path.split("/")[2] for path in files if path.startswith(shop_folder(""))}
        self.shops = {name: Shop(published, name, files) for name in shops.union(published.shops())}
        self.answers: LruCache[tuple, bytes] = LruCache(ANSWER_BYTES)

    def shop(self, name: str) -> Shop:
        """A shop of this version. Domains are case-insensitive."""
        name = name.lower()
        if name not in self.shops:
            raise Problem(
                404,
                f"The shop {name} is not in the published version.",
                "Use the domain of a shop in shops.toml; a new shop is included after the next `pixelnova refresh`.",
            )
        return self.shops[name]
