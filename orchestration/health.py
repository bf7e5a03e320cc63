"""The state of an installation: disk, waiting files, the last refresh, the published version and its figures.

Reads the data folder and the published version, never the warehouse, which a run may hold.
"""

import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import duckdb

from ingestion.data_folder import landing_folder
from ingestion.errors import IngestionError
from ingestion.landing import begun_at, sealed_files
from ingestion.shops import load_shops
from ingestion.sources.catalogue_files import catalogue_files
from ingestion.sources.shopify_api import admin_apis
from orchestration.disk_space import nearest_existing
from orchestration.failed_fetches import FailedFetch, failed_fetches
from orchestration.run_log import LastRun, last_run
from orchestration.warehouse_lock import is_held
from serving.published import NothingPublished, Published, read_current

QUARANTINE_DAYS, RECONCILIATION_DAYS = 2, 7  # the period of the figures below, up to a shop's newest day


class Share(NamedTuple):
    """A part of a whole, for one shop; shop is None for lines that belong to no shop."""

    shop: str | None
    part: int
    whole: int

    @property
    def value(self) -> float:
        """Between 0 and 1."""
        return self.part / self.whole if self.whole else 0.0


@dataclass(frozen=True)
class Health:
    """State at one moment. disk_free, disk_total: bytes of the data folder's disk. waiting: creation times of sealed
    landing files, UTC, oldest first. quarantined, missing_orders: shares of the newest days, by shop."""

    disk_free: int
    disk_total: int
    waiting: tuple[datetime, ...]
    is_running: bool
    last: LastRun | None
    published: Published | None
    failed_fetches: tuple[FailedFetch, ...] = ()
    quarantined: tuple[Share, ...] = ()
    missing_orders: tuple[Share, ...] = ()


def read_health(data: Path, shops_file: Path) -> Health:
    """The current state of a data folder, which may be empty or missing. shops_file: tells which shops are fetched."""
    disk = shutil.disk_usage(nearest_existing(data))
    try:
        published = read_current(data)
    except (NothingPublished, OSError, ValueError):
        published = None
    read = (data, disk.free, disk.total, published)
    if published is None:
        return _health(*read)
    of_admin_api, of_files = _fetched_shops(shops_file)
    try:
        with published.connect() as connection:
            return _health(
                *read,
                tuple(failed_fetches(connection, of_admin_api, of_files)),
                tuple(quarantined_shares(connection)),
                tuple(missing_order_shares(connection)),
            )
    except duckdb.Error:  # published by older code, without one of these marts
        return _health(*read)


def quarantined_shares(connection: duckdb.DuckDBPyConnection) -> list[Share]:
    """The share of each shop's newest events that cannot be processed. connection: to a database with the marts."""
    return [Share(*row) for row in connection.execute(_QUARANTINED).fetchall()]


def missing_order_shares(connection: duckdb.DuckDBPyConnection) -> list[Share]:
    """The share of each shop's newest orders that the pixel missed. connection: to a database with the marts."""
    return [Share(*row) for row in connection.execute(_MISSING_ORDERS).fetchall()]


def _fetched_shops(shops_file: Path) -> tuple[list[str], list[str]]:
    """The shops whose Admin API is queried, and those with catalogue files; none if shops.toml is not usable."""
    try:
        shops = load_shops(shops_file)
    except IngestionError:
        return [], []
    return (
        [api.shop for api in admin_apis(shops)],
        [files.shop for files in catalogue_files(shops, shops_file.parent)],
    )


def _health(
    data: Path,
    disk_free: int,
    disk_total: int,
    published: Published | None,
    fetches: tuple[FailedFetch, ...] = (),
    quarantined: tuple[Share, ...] = (),
    missing_orders: tuple[Share, ...] = (),
) -> Health:
    waiting = tuple(begun_at(file) for file in sealed_files(landing_folder(data)))
    return Health(
        disk_free, disk_total, waiting, is_held(data), last_run(data), published, fetches, quarantined, missing_orders
    )


_QUARANTINED = f"""
with received as (
    select shop, local_date, sum(events) as events, 0 as quarantined from operations.event_volume group by all
    union all
    select shop, local_date, 0, count(*) from operations.quarantined_events group by all
)
select shop, sum(quarantined)::bigint, sum(events + quarantined)::bigint
from received
where local_date > (
    select max(local_date) - {QUARANTINE_DAYS} from received as newest
    where newest.shop is not distinct from received.shop
)
group by shop order by shop
"""
_MISSING_ORDERS = f"""
select shop, sum(missing_in_pixel)::bigint, sum(admin_orders)::bigint
from operations.order_reconciliation as days
where local_date > (
    select max(local_date) - {RECONCILIATION_DAYS} from operations.order_reconciliation as newest
    where newest.shop = days.shop
)
group by shop having sum(admin_orders) > 0 order by shop
"""
