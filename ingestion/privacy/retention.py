"""Expires data that is older than a shop's limits, once a day: received events, then the rows of people.

Reads shops.toml (keep_raw_days, keep_events_days, keep_identity_days); writes the landing archive, the raw tables,
dbt's work sets, and the schema `kept` of the warehouse: the daily rows of closed days, which never change again.

An expiry that has begun is in data/privacy/expiring.json; like an erasure, the next run finishes a killed one.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import msgspec

from ingestion.collector.webhooks import Webhook
from ingestion.data_folder import landing_folder, warehouse_file
from ingestion.landing import archived_parts, landing_name, sealed_files, sync_folder, write_lines
from ingestion.privacy.identifiers import Identifier
from ingestion.privacy.raw_tables import erase_rows, expire_unreadable, find_expired
from ingestion.privacy.selection import Expired
from ingestion.privacy.state import read_state, write_state
from ingestion.privacy.suppression import Suppressions, privacy_folder
from ingestion.privacy.taking_out import keep_orders_of, no_orders, remaining, rewrite
from ingestion.shops import Shop
from ingestion.warehouse_connection import connect

DAILY = (
    *("analytics.daily_shop", "analytics.daily_product", "analytics.daily_sales"),
    *("analytics.funnel_daily", "analytics.checkout_funnel", "operations.event_volume"),
)
CLOSED_AFTER = timedelta(days=14)  # by then, all but a few late events have arrived
_INACTIVE = """
    select map.identifier_kind, map.identifier
    from core.user_journeys as journeys
    inner join core.identity_map as map using (shop, journey_id)
    where journeys.shop = $shop and journeys.last_seen_at < $before
    order by all
"""


class Expiry(msgspec.Struct):
    """One day's expiry. before: by shop, the UTC time before which events expire. inactive: identifiers, by shop.

    closed: by shop, the last day whose daily rows are kept. files: landing files with lines to remove.
    """

    began_at: datetime
    before: dict[str, datetime]
    inactive: dict[str, list[Identifier]]
    closed: dict[str, date]
    files: list[str] = []


class _Applied(msgspec.Struct):
    """The last day on which each shop's data has expired."""

    days: dict[str, date] = {}


def expire(
    data: Path,
    shops: Sequence[Shop],
    mark_for_rebuild: Callable[[Path], None],
    now: datetime | None = None,
    incremental: bool = True,
) -> int:
    """Expire the data of all shops that set a limit, unless done today; returns the number of shops.

    Call it while nothing else uses the warehouse, before landing files are loaded. Arguments: see erase_pending.
    """
    now = now or datetime.now(UTC)
    applied = read_state(_folder_file(data, "retention"), _Applied) or _Applied()
    due = [shop for shop in shops if _limits(shop) and applied.days.get(shop.domain) != _today(shop, now)]
    expiry = read_state(_folder_file(data, "expiring"), Expiry)
    if not (expiry or due) or not _has_daily_rows(data):
        return 0  # the next run closes the days, when their rows are built again
    if expiry is None:
        expiry = _begin(data, due, now)
    _close_days(data, expiry)
    _expire_rows(data, shops, expiry, mark_for_rebuild, incremental)
    selection = Expired(Suppressions(data), expiry.before, expiry.inactive)
    landing = landing_folder(data)
    for file in [*sealed_files(landing), *archived_parts(landing)]:
        if landing_name(file) in expiry.files:
            rewrite(file, selection, no_orders)
    for shop in due:
        _remove_parts(landing, shop, now)
    applied.days |= {shop.domain: _today(shop, now) for shop in due}
    write_state(_folder_file(data, "retention"), applied)
    _folder_file(data, "expiring").unlink()
    return len(due)


def is_due(data: Path, shops: Sequence[Shop], now: datetime) -> bool:
    """Whether a shop's data has not expired today yet."""
    applied = read_state(_folder_file(data, "retention"), _Applied) or _Applied()
    return any(_limits(shop) and applied.days.get(shop.domain) != _today(shop, now) for shop in shops)


def raw_kept_since(shops: Sequence[Shop], now: datetime) -> dict[str, date]:
    """By shop, the first day received that the landing archive still has."""
    return {shop.domain: _raw_limit(shop, now) for shop in shops if shop.keep_raw_days is not None}


def _limits(shop: Shop) -> bool:
    return any(days is not None for days in (shop.keep_raw_days, shop.keep_events_days, shop.keep_identity_days))


def _today(shop: Shop, now: datetime) -> date:
    return now.astimezone(ZoneInfo(shop.timezone)).date()


def _midnight(shop: Shop, now: datetime, days: int) -> datetime:
    """The beginning, in UTC, of the day `days` before today in the shop's timezone."""
    day = _today(shop, now) - timedelta(days=days)
    return datetime.combine(day, time(), ZoneInfo(shop.timezone)).astimezone(UTC)


def _raw_limit(shop: Shop, now: datetime) -> date:
    assert shop.keep_raw_days is not None
    return now.astimezone(UTC).date() - timedelta(days=shop.keep_raw_days)


def _begin(data: Path, due: Sequence[Shop], now: datetime) -> Expiry:
    before = {
        shop.domain: _midnight(shop, now, shop.keep_events_days) for shop in due if shop.keep_events_days is not None
    }
    inactive = {}
    with connect(warehouse_file(data)) as connection:
        for shop in due:
            if shop.keep_identity_days is not None:
                limit = _midnight(shop, now, shop.keep_identity_days).replace(tzinfo=None)
                rows = connection.execute(_INACTIVE, {"shop": shop.domain, "before": limit}).fetchall()
                inactive[shop.domain] = [Identifier(*row) for row in rows]
    closed = {shop.domain: _today(shop, now) - CLOSED_AFTER for shop in due if shop.domain in {*before, *inactive}}
    expiry = Expiry(now, before, inactive, closed)
    write_state(_folder_file(data, "expiring"), expiry)
    return expiry


def _has_marts(connection: duckdb.DuckDBPyConnection) -> bool:
    found = connection.execute(
        "select count(*) from information_schema.tables where table_schema || '.' || table_name in "
        f"{(*DAILY, 'core.identity_map')}"
    ).fetchall()
    return found == [(len(DAILY) + 1,)]


def _has_daily_rows(data: Path) -> bool:
    """Whether the marts exist: not before the first run, nor after one that dropped them for a full build."""
    if not warehouse_file(data).exists():
        return False
    with connect(warehouse_file(data)) as connection:
        return _has_marts(connection)


def _close_days(data: Path, expiry: Expiry) -> None:
    """Keep the daily rows of days that have closed since the last time, before their events expire."""
    with connect(warehouse_file(data)) as connection:
        if not expiry.closed:
            return
        connection.begin()
        connection.execute("create schema if not exists kept")
        connection.execute("create table if not exists kept.closed_days (shop varchar, closed_until date)")
        for shop, until in expiry.closed.items():
            [(closed,)] = connection.execute(
                "select max(closed_until) from kept.closed_days where shop = $shop", {"shop": shop}
            ).fetchall()
            if closed and closed >= until:  # as after a change of clock or timezone: a closed day stays closed
                continue
            values = {"shop": shop, "until": until, "closed": closed or date.min}
            for mart in DAILY:
                table = f"kept.{mart.partition('.')[2]}"
                connection.execute(f"create table if not exists {table} as select * from {mart} where false")
                _add_columns(connection, mart, table)
                connection.execute(
                    f"insert into {table} by name select * from {mart} "
                    "where shop = $shop and local_date > $closed and local_date <= $until",
                    values,
                )
            connection.execute("delete from kept.closed_days where shop = $shop", {"shop": shop})
            connection.execute("insert into kept.closed_days values ($shop, $until)", {"shop": shop, "until": until})
        connection.commit()


def _add_columns(connection: duckdb.DuckDBPyConnection, mart: str, table: str) -> None:
    """Add the columns that a newer version of the mart has."""
    existing = {name for name, *_ in connection.execute(f"describe {table}").fetchall()}
    for name, kind, *_ in connection.execute(f"describe {mart}").fetchall():
        if name not in existing:
            connection.execute(f"alter table {table} add column {name} {kind}")


def _expire_rows(
    data: Path, shops: Sequence[Shop], expiry: Expiry, mark_for_rebuild: Callable[[Path], None], incremental: bool
) -> None:
    selection, keep_orders = Expired(Suppressions(data), expiry.before, expiry.inactive), keep_orders_of(shops)
    with connect(warehouse_file(data)) as connection:
        connection.execute("set timezone = 'UTC'")
        lines = find_expired(connection, expiry.before, expiry.inactive)
        if lines.files:
            expiry.files = sorted({*expiry.files, *lines.files})
            write_state(_folder_file(data, "expiring"), expiry)
        kept = (remaining(line, envelope, selection, keep_orders) for line, envelope in lines.orders)
        orders = [line for line in kept if line is not None]
        if orders:
            began = expiry.began_at.astimezone(UTC)
            write_lines(landing_folder(data) / f"events-{began:%Y%m%dT%H%M%S.%fZ}-1.jsonl", orders)
        needs_rebuild = lines.need_rebuild or not incremental
        if needs_rebuild:
            mark_for_rebuild(warehouse_file(data))
        connection.begin()
        named = {shop: expiry.inactive.get(shop, []) for shop in {*expiry.before, *expiry.inactive}}
        erase_rows(connection, named, selection, keep_orders, incrementally=not needs_rebuild)
        expire_unreadable(connection, expiry.before)
        connection.commit()


def _remove_parts(landing: Path, shop: Shop, now: datetime) -> None:
    """Remove the archive's days and the webhooks before the limit; the shop's events stay in the warehouse."""
    if shop.keep_raw_days is None:
        return
    for path in sorted((landing / "webhooks").glob("*/*.json")):
        webhook = msgspec.json.decode(path.read_bytes(), type=Webhook)
        if webhook.shop == shop.domain and webhook.received_at.date() < _raw_limit(shop, now):
            path.unlink()
    for folder in sorted((landing / "archive" / f"shop={shop.domain}").glob("received_date=*")):
        if folder.name.partition("=")[2] < _raw_limit(shop, now).isoformat():
            for part in folder.iterdir():
                part.unlink()
            folder.rmdir()
            sync_folder(folder.parent)


def _folder_file(data: Path, name: str) -> Path:
    return privacy_folder(data) / f"{name}.json"
