"""Opens the newest published version for queries, and isolates shops from each other.

Reads data/published/current; returns rows. Every query is bound to one shop that its reader may see.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from serving.errors import ServingError
from serving.metrics import MetricCatalogue
from serving.published import Published, read_current

VERSIONS_OPEN = 2  # the last used: the current one, and the one that requests in progress read
THREADS = 2  # per version: several readers send queries at once

Row = tuple[Any, ...]


class ShopNotVisible(ServingError):
    """The shop does not exist, or the reader may not see it: one message for both, so that shops cannot be probed."""


@dataclass(frozen=True)
class Rows:
    """The rows of a query: column names, rows, and the SQL with its parameters."""

    columns: Sequence[str]
    rows: Sequence[Row]
    sql: str
    parameters: Mapping[str, Any]

    def records(self) -> list[dict[str, Any]]:
        """One dictionary per row."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@dataclass(frozen=True)
class ShopInfo:
    """A shop of the version. today: local date of its newest event; currency: None if no setting gives one.

    For a shop without usable events, both dates are the date of publication.
    """

    shop: str
    name: str
    timezone: str
    currency: str | None
    first_date: date
    today: date
    as_of: datetime
    has_events: bool


@dataclass(frozen=True)
class Store:
    """One published version, as one reader may see it. visible: the shops; None for all."""

    published: Published
    visible: frozenset[str] | None
    _connection: duckdb.DuckDBPyConnection = field(repr=False)
    _metrics: MetricCatalogue = field(repr=False)

    @property
    def version(self) -> str:
        """Name of the version."""
        return self.published.folder.name

    def shops(self) -> list[ShopInfo]:
        """The shops that the reader may see, by domain."""
        found = []
        rows = self._execute(_SHOPS, {}).rows
        for shop, name, zone, currency, first_date, newest in rows:
            if self.visible is not None and shop not in self.visible:
                continue
            as_of = (newest or self._published_at()).replace(tzinfo=UTC)
            today = as_of.astimezone(ZoneInfo(zone or "UTC")).date()
            dates = (first_date or today, today, as_of, first_date is not None)
            found.append(ShopInfo(shop, name or shop, zone or "UTC", currency, *dates))
        return found

    def shop(self, shop: str) -> ShopInfo:
        """One shop.

        Raises:
            ShopNotVisible: the shop does not exist, or the reader may not see it.
        """
        found = next((one for one in self.shops() if one.shop == shop.lower()), None)
        if found is None:
            raise ShopNotVisible(f"Unknown shop {shop}: use the domain of a shop in shops.toml.")
        return found

    def query(self, shop: str, sql: str, parameters: Mapping[str, Any] | None = None) -> Rows:
        """The rows of a query over one shop, which it reads as $shop.

        Raises:
            ShopNotVisible: the reader may not see the shop.
            ValueError: the query does not filter by shop, which is a bug.
        """
        if self.visible is not None and shop not in self.visible:
            raise ShopNotVisible(f"Unknown shop {shop}: use the domain of a shop in shops.toml.")
        if "$shop" not in sql:
            raise ValueError(f"The query does not filter by $shop: {sql}")
        return self._execute(sql, {"shop": shop, **(parameters or {})})

    def catalogue(self) -> MetricCatalogue:
        """The metrics of the version, as its publisher defined them; none if older code published it."""
        return self._metrics

    def _execute(self, sql: str, parameters: Mapping[str, Any]) -> Rows:
        used = {name: value for name, value in parameters.items() if f"${name}" in sql}
        cursor = self._connection.cursor()
        try:
            result = cursor.execute(sql, used)
            columns = [column[0] for column in result.description]
            return Rows(columns, result.fetchall(), sql, used)
        finally:
            cursor.close()

    def _published_at(self) -> datetime:
        return datetime.fromisoformat(self.published.manifest.published_at).replace(tzinfo=None)


class Stores:
    """Follows `current`: gives readers the newest version. One database per version is open in this process."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._lock = threading.Lock()
        self._open: dict[Path, tuple[Published, duckdb.DuckDBPyConnection, MetricCatalogue]] = {}  # last used: last

    def newest(self, visible: frozenset[str] | None = None) -> Store:
        """The newest version, for a reader who may see these shops; None means all.

        Raises:
            NothingPublished: there is none.
        """
        published = read_current(self._data)
        with self._lock:
            opened = self._open.pop(published.folder, None)
            if opened is None:
                connection = published.connect()
                connection.execute(f"set threads = {THREADS}")
                opened = (published, connection, published.metrics())
            self._open[published.folder] = opened  # at the end: after a rollback, it is not the newest one
            for folder in list(self._open)[:-VERSIONS_OPEN]:
                self._open.pop(folder)[1].close()
            published, connection, metrics = opened
        return Store(published, visible, connection, metrics)


# Each shop's newest event sets its own today, which may be days ago if its pixel is silent.
_SHOPS = """
select
    shops.shop,
    shops.name,
    shops.timezone,
    shops.currency,
    (select min(daily_shop.local_date) from analytics.daily_shop where daily_shop.shop = shops.shop) as first_date,
    (
        select max(event_volume.newest_received_at)
        from operations.event_volume
        where event_volume.shop = shops.shop
    ) as newest_received_at
from core.shops
order by shops.shop
"""
