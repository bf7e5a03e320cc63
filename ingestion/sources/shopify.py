"""dlt source `shopify`: products, collections, deletions and orders of each shop, from the Admin GraphQL API.

Reads the Admin API of shops with a token; writes tables with one row per fetched version of an object: (shop, id,
parent_id, fetched_at, node), `node` being Shopify's JSON. The tables are append-only logs, so that they keep history
and a killed or repeated run does no harm. dbt takes the newest version (docs/decisions/2026-11-22-shopify-as-a-log.md).
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dlt
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from dlt.extract import DltResource

from ingestion.sources import SCHEMA_CONTRACT
from ingestion.sources.shopify_api import AdminApi, Node
from ingestion.sources.shopify_errors import CursorExpired, Gone, ShopifyError, Unreachable
from ingestion.sources.shopify_queries import (
    COLLECTION_PRODUCTS,
    COLLECTIONS,
    ORDER_LINES,
    ORDER_REFUNDS,
    ORDERS,
    PRODUCT_DELETIONS,
    PRODUCT_IDS,
    PRODUCT_VARIANTS,
    PRODUCTS,
    PRODUCTS_COUNT,
    bulk_products,
)

BULK_FROM = 10_000  # products; fewer are paged
OVERLAP = timedelta(minutes=2)  # Shopify's search index may lag
PARQUET_BYTES = 4 * 1024 * 1024
DELETIONS_OVERLAP = timedelta(hours=1)  # the search uses our clock, the events have Shopify's
OWN_ATTRIBUTES = "_pixelnova"
MEMBERSHIP_EVERY = timedelta(days=1)  # rules move products without changing the collection's updated_at
SWEEP_EVERY = timedelta(days=7)
REFUNDS_PER_ORDER = 5  # as asked for in ORDERS

LOGS = ("products", "variants", "collections", "collection_products", "product_deletions", "orders", "order_lines")
ALL_TABLES = "*"


def _columns(**data_types: str) -> dict[str, Any]:
    return {name: {"data_type": data_type, "nullable": True} for name, data_type in data_types.items()}


LOG_COLUMNS = _columns(shop="text", id="text", parent_id="text", fetched_at="timestamp", node="text")
FETCH_COLUMNS = _columns(
    shop="text", subject="text", began_at="timestamp", ended_at="timestamp", rows="bigint", error="text"
)
_ARROW_SCHEMA = pa.schema(
    [
        ("shop", pa.string()),
        ("id", pa.string()),
        ("parent_id", pa.string()),
        ("fetched_at", pa.timestamp("us", tz="UTC")),
        ("node", pa.string()),
    ]
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """What to fetch, and how. orders_of: the shops whose orders to fetch (scope read_orders).

    known_products: the ids of a shop's products in the warehouse that are not deleted. workspace: folder of bulk files
    until they are loaded. without_erased: removes the rows of erased people from a table's rows. erased_until: by shop,
    when it was erased as a whole; everything is then fetched again.
    """

    orders_of: frozenset[str] = frozenset()
    known_products: Callable[[str], set[str]] = lambda shop: set()
    workspace: Path | None = None
    bulk_from: int = BULK_FROM
    without_erased: Callable[[str, list[dict[str, Any]]], list[dict[str, Any]]] = lambda table, rows: rows
    erased_until: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True)
class _Part:
    """Rows of one table: dictionaries, or a Parquet file and its row count."""

    table: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    parquet: Path | None = None
    count: int = 0

    def __len__(self) -> int:
        return self.count or len(self.rows)

    def for_dlt(self) -> Any:
        """Rows of the logs as Arrow: for dictionaries, dlt adds columns that a file import lacks."""
        if self.parquet is None:
            return pa.Table.from_pylist(self.rows, schema=_ARROW_SCHEMA) if self.table in LOGS else self.rows
        hints = _ARROW_SCHEMA.empty_table()
        return dlt.mark.with_file_import(str(self.parquet), "parquet", self.count, hints=hints)


@dlt.source(name="shopify", schema_contract=SCHEMA_CONTRACT, max_table_nesting=0)
def shopify_source(apis: Sequence[AdminApi] = (), settings: Settings | None = None) -> tuple[DltResource, ...]:
    """The logs raw_shopify.<products, variants, …>, and raw_shopify.fetches: one row per shop, subject and run.

    A failing shop does not stop the others: its rows so far are kept, the next run fetches the rest, and its row in
    `fetches` has the error.
    """
    settings = settings or Settings()

    @dlt.resource(name="answers", selected=False)
    def answers() -> Iterator[_Part]:
        yield _Part(ALL_TABLES)
        state = dlt.current.source_state()
        for api in apis:
            shop_state = state.setdefault(api.shop, {})
            erased_until = settings.erased_until.get(api.shop)
            if erased_until and shop_state.get("erased_until") != erased_until.isoformat():
                shop_state.clear()
                shop_state["erased_until"] = erased_until.isoformat()
            yield from _fetch_shop(api, settings, shop_state)

    def table(name: str, **hints: Any) -> DltResource:
        @dlt.transformer(data_from=answers, name=name, **hints)
        def rows(part: _Part) -> Iterator[Any]:
            if part.table == name:
                yield part.for_dlt()
            elif part.table == ALL_TABLES:  # also without rows
                yield _Part(name).for_dlt() if name in LOGS else dlt.mark.materialize_table_schema()

        return rows

    logs = [table(name, write_disposition="append", columns=LOG_COLUMNS) for name in LOGS]
    return (answers, *logs, table("fetches", write_disposition="append", columns=FETCH_COLUMNS))


def _fetch_shop(api: AdminApi, settings: Settings, state: dict[str, Any]) -> Iterator[_Part]:
    """Everything of one shop, subject by subject. A subject's state advances only after its rows have arrived."""
    subjects = {
        "deletions": _deletions,
        "products": _products,
        "collections": _collections,
        "sweep": _sweep,
    }
    if api.shop in settings.orders_of:
        subjects["orders"] = _orders
    for subject, fetch in subjects.items():
        began_at, rows, problem, reachable = _now(), 0, None, True
        place = state.setdefault(subject, {})
        try:
            for part in fetch(api, settings, place):
                rows += len(part)
                yield part
                log.info("%s: %s rows of %s", api.shop, f"{rows:,}", subject, extra={"shop": api.shop})
        except ShopifyError as error:
            problem, reachable = str(error), not isinstance(error, Unreachable)
            log.error("%s", problem, extra={"shop": api.shop})
        except Exception as error:  # an unexpected response must not stop the other shops
            problem = f"The {subject} of {api.shop} cannot be read; this is a bug in Pixelnova: {error!r}. Report it."
            log.exception("%s", problem, extra={"shop": api.shop})
        fetch_row = {"shop": api.shop, "subject": subject, "began_at": began_at, "ended_at": _now()}
        yield _Part("fetches", [{**fetch_row, "rows": rows, "error": problem}])
        if not reachable:
            return


def _products(api: AdminApi, settings: Settings, state: dict[str, Any]) -> Iterator[_Part]:
    """Changed products, each with all of its variants; all products, if the query asks for other fields than before."""
    asked = _digest(PRODUCTS)
    if state.get("asked") != asked:
        state.clear()
        state["asked"] = asked
    seen = _Seen(state)
    count = api.ask(PRODUCTS_COUNT, query=seen.filter)["productsCount"]["count"]
    if count >= settings.bulk_from and settings.workspace:
        yield from _bulk_parts(api, settings.workspace, bulk_products(seen.filter), seen)
    else:
        for nodes in seen.changed(api, "products", PRODUCTS):
            yield from _with_children(api, nodes, "products", "variants", "product.variants", PRODUCT_VARIANTS)


def _orders(api: AdminApi, settings: Settings, state: dict[str, Any]) -> Iterator[_Part]:
    """Changed orders, each with all of its lines and refunds."""
    seen = _Seen(state)
    for nodes in seen.changed(api, "orders", ORDERS):
        for order in nodes:
            if len(order["refunds"]) >= REFUNDS_PER_ORDER:
                order["refunds"] = (api.ask(ORDER_REFUNDS, id=order["id"])["order"] or order)["refunds"]
            order["customAttributes"] = _own_attributes(order["customAttributes"])
        for part in _with_children(
            api, nodes, "orders", "order_lines", "order.lineItems", ORDER_LINES, change=_with_own_attributes
        ):
            yield _Part(part.table, settings.without_erased(part.table, part.rows))


def _with_children(
    api: AdminApi,
    nodes: list[Node],
    parents: str,
    children: str,
    path: str,
    rest: str,
    change: Callable[[Node], Node] = lambda node: node,
) -> Iterator[_Part]:
    """A page of nodes, each with all pages of its inner connection. All rows share one `fetched_at`."""
    fetched_at, connection = _fetched_at(api), path.rpartition(".")[2]
    rows: dict[str, list[dict[str, Any]]] = {parents: [], children: []}
    for node in nodes:
        inner = node.pop(connection)
        all_inner = inner["nodes"]
        if inner["pageInfo"]["hasNextPage"]:
            after = inner["pageInfo"]["endCursor"]
            try:
                all_inner += [one for page in api.pages(path, rest, id=node["id"], after=after) for one in page]
            except Gone:
                continue  # deleted in the meantime; the next run sees the deletion
        rows[parents].append(_row(api.shop, node, None, fetched_at))
        rows[children] += [_row(api.shop, change(one), node["id"], fetched_at) for one in all_inner]
    for table, found in rows.items():
        yield _Part(table, found)


def _with_own_attributes(line: Node) -> Node:
    return {**line, "customAttributes": _own_attributes(line["customAttributes"])}


def _own_attributes(attributes: list[Node]) -> list[Node]:
    """Our own attributes only; others may be the buyer's input or an app's data about the buyer."""
    return [attribute for attribute in attributes if attribute["key"].startswith(OWN_ATTRIBUTES)]


def _bulk_parts(api: AdminApi, workspace: Path, query: str, seen: "_Seen") -> Iterator[_Part]:
    """The result of a bulk operation, as a Parquet file of parents and one of children."""
    file = api.bulk(query, workspace)
    log.info("%s: reading %s", api.shop, file.path.name, extra={"shop": api.shop})
    # Parents and children share one fetched_at: dbt matches them by it.
    fetched_at = _fetched_at(api, file.asked_at)
    parents = _ParquetLog(file.path.with_suffix(".parents.parquet"), api.shop, fetched_at)
    children = _ParquetLog(file.path.with_suffix(".children.parquet"), api.shop, fetched_at)
    newest = ""
    with file.path.open("rb") as lines, parents, children:
        for number, line in enumerate(lines, start=1):
            try:
                node = _decode_bulk_line(line)
                (parents if node.parent_id is None else children).add(node, line)
            except (msgspec.MsgspecError, ValueError) as error:
                raise ShopifyError(f"{file.path.name}, line {number}, is not a node ({error}); run again.") from error
            newest = max(newest, node.updated_at)  # all in one format, to the second, in UTC
    for table, log_file in (("products", parents), ("variants", children)):
        if log_file.count:
            yield _Part(table, parquet=log_file.path, count=log_file.count)
    if newest:  # the file is not a snapshot: it may have old versions of what changed meanwhile
        seen.see_until(min(newest, file.created_at, key=_time))
        seen.save()


class _BulkLine(msgspec.Struct):
    """The fields needed from a line; the line itself is stored unchanged."""

    id: str
    updated_at: str = msgspec.field(default="", name="updatedAt")
    parent_id: str | None = msgspec.field(default=None, name="__parentId")


_decode_bulk_line = msgspec.json.Decoder(_BulkLine).decode


class _ParquetLog:
    """A Parquet file with the columns of the logs, written in chunks of a few megabytes."""

    def __init__(self, path: Path, shop: str, fetched_at: datetime) -> None:
        self.path, self.count = path, 0
        self._shop, self._fetched_at = shop, fetched_at
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0

    def __enter__(self) -> "_ParquetLog":
        self._writer = pq.ParquetWriter(self.path, _ARROW_SCHEMA)
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._writer.close()

    def add(self, node: _BulkLine, line: bytes) -> None:
        """Add a line."""
        if b"\\ud" in line:  # perhaps half of a surrogate pair
            line = _json(json.loads(line))
        self._rows.append(
            {
                "shop": self._shop,
                "id": node.id,
                "parent_id": node.parent_id,
                "fetched_at": self._fetched_at,
                "node": line.decode().strip(),
            }
        )
        self.count += 1
        self._bytes += len(line)
        if self._bytes > PARQUET_BYTES:
            self._flush()

    def _flush(self) -> None:
        self._writer.write_table(pa.Table.from_pylist(self._rows, schema=_ARROW_SCHEMA))
        self._rows, self._bytes = [], 0


def _deletions(api: AdminApi, settings: Settings, state: dict[str, Any]) -> Iterator[_Part]:
    """Products deleted since the last run; Shopify keeps these events for a year. The first run needs none."""
    began_at, since = _now(), state.get("since")
    if since:
        since = min(since, _text(began_at - DELETIONS_OVERLAP))  # the clock may have been ahead
        search = f"action:destroy AND subject_type:PRODUCT AND created_at:>='{since}'"
        for nodes in api.pages("events", PRODUCT_DELETIONS, query=search):
            yield _Part(
                "product_deletions",
                [
                    _row(api.shop, {"id": node["subjectId"], "deletedAt": node["createdAt"]}, None, _fetched_at(api))
                    for node in nodes
                    if node.get("subjectType") == "PRODUCT"
                ],
            )
    state["since"] = _text(began_at - DELETIONS_OVERLAP)


def _sweep(api: AdminApi, settings: Settings, state: dict[str, Any]) -> Iterator[_Part]:
    """Once a week: products that vanished without an event. The first run counts as the first sweep."""
    began_at, last = _now(), state.get("at")
    if last and _is_within(SWEEP_EVERY, last, began_at):
        return
    if last:
        known = settings.known_products(api.shop)
        alive = {node["id"] for nodes in api.pages("products", PRODUCT_IDS) for node in nodes}
        gone = [{"id": one, "deletedAt": _text(began_at)} for one in sorted(known - alive)]
        yield _Part("product_deletions", [_row(api.shop, node, None, _fetched_at(api)) for node in gone])
    state["at"] = _text(began_at)


def _collections(api: AdminApi, settings: Settings, state: dict[str, Any]) -> Iterator[_Part]:
    """Collections with changed fields or members, and a final row for deleted ones."""
    began_at, known = _now(), state.get("known", {})
    read_at = state.get("members_read_at")
    all_members = read_at is None or not _is_within(MEMBERSHIP_EVERY, read_at, began_at)
    alive = {}
    for nodes in api.pages("collections", COLLECTIONS):
        for node in nodes:
            before = known.get(node["id"])
            fields = _digest(node)
            if before and before["fields"] == fields and not all_members:
                alive[node["id"]] = before
                continue
            try:
                pages = api.pages("collection.products", COLLECTION_PRODUCTS, id=node["id"])
                members = [one["id"] for page in pages for one in page]
            except Gone:
                continue
            alive[node["id"]] = {"fields": fields, "members": _digest(sorted(members))}
            if before != alive[node["id"]]:
                fetched_at = _fetched_at(api)
                yield _Part("collections", [_row(api.shop, node, None, fetched_at)])
                yield _Part(
                    "collection_products", [_row(api.shop, {"id": one}, node["id"], fetched_at) for one in members]
                )
    gone = [{"id": one, "deletedAt": _text(began_at)} for one in known if one not in alive]
    if gone:
        yield _Part("collections", [_row(api.shop, node, None, _fetched_at(api)) for node in gone])
    state["known"] = alive
    if all_members:
        state["members_read_at"] = _text(began_at)


class _Seen:
    """The watermark of a list read by `updated_at`, so that the next run reads only changes."""

    def __init__(self, state: dict[str, Any]) -> None:
        self._state = state
        self._until: str | None = state.get("until")
        # id ▶ updated_at and digest of nodes that the overlap returns again
        self._recent: dict[str, list[str]] = dict(state.get("recent", {}))

    @property
    def filter(self) -> str | None:
        """The search filter for changes since the watermark; None for everything."""
        return None if self._until is None else f"updated_at:>='{_text(_time(self._until) - OVERLAP)}'"

    def changed(self, api: AdminApi, path: str, query: str) -> Iterator[list[Node]]:
        """Pages of nodes, oldest change first, without nodes already seen in this version."""
        while True:
            begun_from = self._until
            try:
                for nodes in api.pages(path, query, query=self.filter):
                    yield [node for node in nodes if self._is_new(node)]
                    self.save()  # later pages have later changes: after a failure, the next run resumes here
                return
            except CursorExpired as error:
                if self._until == begun_from:
                    raise
                log.info("%s; restarted from %s", error, self._until)

    def _is_new(self, node: Node) -> bool:
        content = {key: value["nodes"] if _is_page(value) else value for key, value in node.items()}  # without cursors
        version = [node["updatedAt"], _digest(content)]
        has_more = any(_is_page(value) and value["pageInfo"]["hasNextPage"] for value in node.values())
        is_new = has_more or self._recent.get(node["id"]) != version  # further pages may have changed
        self._recent[node["id"]] = version
        self.see_until(node["updatedAt"])
        return is_new

    def see_until(self, updated_at: str) -> None:
        """Advance the watermark."""
        if self._until is None or _time(updated_at) > _time(self._until):
            self._until = updated_at

    def save(self) -> None:
        """Save the watermark: the next run resumes from it."""
        if self._until is not None:
            since = _time(self._until) - OVERLAP
            self._recent = {key: seen for key, seen in self._recent.items() if _time(seen[0]) >= since}
            self._state.update(until=self._until, recent=self._recent)


def _row(shop: str, node: Node, parent_id: str | None, fetched_at: datetime) -> dict[str, Any]:
    text = _json(node).decode()
    return {"shop": shop, "id": node["id"], "parent_id": parent_id, "fetched_at": fetched_at, "node": text}


def _json(value: Any) -> bytes:
    """Encode as UTF-8; lone surrogates, which JSON allows and UTF-8 does not, become question marks."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _is_page(value: Any) -> bool:
    return isinstance(value, dict) and "pageInfo" in value


def _digest(value: Any) -> str:
    return hashlib.blake2b(_json(value), digest_size=8).hexdigest()


def _now() -> datetime:
    return datetime.now(UTC)


def _fetched_at(api: AdminApi, asked_at: datetime | None = None) -> datetime:
    """Now, or when it was asked, but always after the rows of earlier runs: newer rows replace older ones.

    If the clock was ahead in an earlier run, times continue just after its newest row until the clock catches up.
    """
    at = asked_at or _now()
    return at if api.newest_answer is None else max(at, api.newest_answer + timedelta(microseconds=1))


def _is_within(period: timedelta, since: str, now: datetime) -> bool:
    """Whether the period that began at `since` still runs; not if `since` is in the future, as after a clock change."""
    return _time(since) <= now < _time(since) + period


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
