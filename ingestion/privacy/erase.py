"""Erases people from everything that is stored before a build: raw tables, landing files, archive, webhooks, logs.

Reads open requests; writes the suppression list, the raw tables, the work sets of dbt's increment and every file that
named the person. dbt then rebuilds the rows that their events contributed to; ingestion/privacy/purge.py does the rest.

An erasure that has begun is in data/privacy/erasing.json. Each of its steps can be repeated: the next run finishes a
killed one.
"""

import logging
import shutil
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from ingestion.data_folder import landing_folder, reports_folder, warehouse_file, workspace
from ingestion.landing import (
    archived_parts,
    landing_name,
    sealed_files,
    sync_folder,
    write_lines,
)
from ingestion.privacy.export import remove_packages, remove_packages_of_shop
from ingestion.privacy.files import erase_from_logs, erase_webhooks
from ingestion.privacy.identifiers import Identifier
from ingestion.privacy.raw_tables import erase_rows, erase_shop, find_lines
from ingestion.privacy.requests import ERASED, ERASURES, RECEIVED, read_requests, take_webhooks, write_request
from ingestion.privacy.selection import Suppressed
from ingestion.privacy.state import read_state, write_state
from ingestion.privacy.subjects import subjects_of
from ingestion.privacy.suppression import Suppressions, privacy_folder
from ingestion.privacy.taking_out import KeepOrders, keep_orders_of, no_orders, remaining, rewrite
from ingestion.shops import Shop
from ingestion.warehouse import not_loaded, open_pipeline
from ingestion.warehouse_connection import connect

log = logging.getLogger(__name__)


class Batch(msgspec.Struct):
    """The requests that are erased together. identifiers: by shop. whole_shops: shops to erase completely.

    files: names of loaded landing files with lines to erase.
    """

    began_at: datetime
    requests: list[str]
    identifiers: dict[str, list[Identifier]]
    whole_shops: list[str]
    files: list[str] = []

    def values(self) -> set[str]:
        """The identifiers without their shops and kinds."""
        return {one.value for identifiers in self.identifiers.values() for one in identifiers}


def erase_pending(
    data: Path, shops: Sequence[Shop], mark_for_rebuild: Callable[[Path], None], incremental: bool = True
) -> int:
    """Erase the subjects of all open requests; returns the number of requests.

    Call it while nothing else uses the warehouse, before landing files are loaded.

    Args:
        mark_for_rebuild: makes the next build of the warehouse a full one.
        incremental: False if dbt's tables are built elsewhere: there, only a full build removes rows.
    """
    take_webhooks(data)
    batch = read_state(_batch_file(data), Batch) or _begin(data)
    if batch is None:
        return 0
    suppressions = Suppressions(data)
    for shop, identifiers in batch.identifiers.items():
        suppressions.add(shop, identifiers)
    for shop in batch.whole_shops:
        suppressions.add_shop(shop, batch.began_at)
        shutil.rmtree(reports_folder(data, shop), ignore_errors=True)
        remove_packages_of_shop(data, shop)
    for source in ("pixel", "shopify"):
        open_pipeline(source, data)  # loads what a killed run left, and empties its folder
    _erase_from_warehouse(data, batch, suppressions, keep_orders_of(shops), mark_for_rebuild, incremental)
    _erase_from_landing_files(data, batch, suppressions)
    erase_webhooks(landing_folder(data) / "webhooks", batch.identifiers, batch.whole_shops)
    for shop, identifiers in batch.identifiers.items():
        remove_packages(data, shop, identifiers)
    erase_from_logs(data, batch.values())
    shutil.rmtree(workspace(data), ignore_errors=True)
    _fulfil(data, batch)
    return len(batch.requests)


def suppress(data: Path, files: Iterable[Path], shops: Sequence[Shop]) -> int:
    """Remove suppressed events from landing files that are not loaded yet; returns how many lines were removed.

    These are events of erased people that arrive late or come from replays of old archives.
    """
    suppressions = Suppressions(data)
    if not suppressions:
        return 0
    taken_out = sum(rewrite(file, Suppressed(suppressions), keep_orders_of(shops)) for file in files)
    if taken_out:
        log.info("removed %d events of erased people from landing files", taken_out)
    return taken_out


def erase_everywhere(data: Path, shops: Sequence[Shop], mark_for_rebuild: Callable[[Path], None]) -> None:
    """Apply the whole suppression list to a data folder, such as one restored from a backup."""
    suppressions = Suppressions(data)
    if not suppressions:
        return
    keep_orders, loaded = keep_orders_of(shops), set()
    files = [*sealed_files(landing_folder(data)), *archived_parts(landing_folder(data))]
    if warehouse_file(data).exists():
        loaded = {landing_name(file) for file in files} - {landing_name(file) for file in not_loaded(files, data)}
        batch = Batch(datetime.now(UTC), [], {shop.domain: [] for shop in shops}, sorted(suppressions.shops))
        _erase_from_warehouse(data, batch, suppressions, keep_orders, mark_for_rebuild)
        mark_for_rebuild(warehouse_file(data))
    for file in files:
        rewrite(file, Suppressed(suppressions), no_orders if landing_name(file) in loaded else keep_orders)
    _batch_file(data).unlink(missing_ok=True)


def _batch_file(data: Path) -> Path:
    return privacy_folder(data) / "erasing.json"


def _begin(data: Path) -> Batch | None:
    """Resolve the subjects of all open requests."""
    pending = [one for one in read_requests(data) if one.topic in ERASURES and one.status == RECEIVED]
    if not pending:
        return None
    batch = Batch(datetime.now(UTC), [], {}, sorted({one.shop for one in pending if one.whole_shop}))
    with connect(warehouse_file(data)) as connection:
        subjects, events = subjects_of(connection, [one for one in pending if not one.whole_shop])
    for request in pending:
        found = subjects.get(request.request_id, [])
        request.counts = {"events": events.get(request.request_id, 0)} if not request.whole_shop else {}
        for identifier in found:
            request.counts[f"{identifier.kind}s"] = request.counts.get(f"{identifier.kind}s", 0) + 1
        write_request(data, request)
        batch.requests.append(request.request_id)
        batch.identifiers.setdefault(request.shop, []).extend(found)
    write_state(_batch_file(data), batch)
    return batch


def _erase_from_warehouse(
    data: Path,
    batch: Batch,
    suppressions: Suppressions,
    keep_orders: KeepOrders,
    mark_for_rebuild: Callable[[Path], None],
    incremental: bool = True,
) -> None:
    """Erase raw rows in one transaction, after the anonymous orders are on disk."""
    with connect(warehouse_file(data)) as connection:
        connection.execute("set timezone = 'UTC'")
        lines = find_lines(connection, batch.identifiers, batch.whole_shops, suppressions)
        if lines.files:
            batch.files = sorted({*batch.files, *lines.files})
            write_state(_batch_file(data), batch)
        selection = Suppressed(suppressions)
        kept = (remaining(line, envelope, selection, keep_orders) for line, envelope in lines.orders)
        orders = [line for line in kept if line is not None]
        if orders:  # in a new landing file; a repeated run writes it again under the same name
            began = batch.began_at.astimezone(UTC)
            write_lines(landing_folder(data) / f"events-{began:%Y%m%dT%H%M%S.%fZ}-0.jsonl", orders)
        needs_rebuild = lines.need_rebuild or bool(batch.whole_shops) or not incremental
        if needs_rebuild:
            mark_for_rebuild(warehouse_file(data))
        connection.begin()
        erase_rows(connection, batch.identifiers, selection, keep_orders, incrementally=not needs_rebuild)
        for shop in batch.whole_shops:
            erase_shop(connection, shop, suppressions.shops[shop])
        connection.commit()


def _erase_from_landing_files(data: Path, batch: Batch, suppressions: Suppressions) -> None:
    landing, names, mentioned = landing_folder(data), set(batch.files), batch.values()
    for shop in batch.whole_shops:
        shutil.rmtree(landing / "archive" / f"shop={shop}", ignore_errors=True)
    for file in [*sealed_files(landing), *archived_parts(landing)]:
        if landing_name(file) in names:
            rewrite(file, Suppressed(suppressions), no_orders, mentioned)


def _fulfil(data: Path, batch: Batch) -> None:
    now = datetime.now(UTC)
    for request in read_requests(data):
        if request.request_id in batch.requests:
            request.identifiers, request.status, request.fulfilled_at = [], ERASED, now
            write_request(data, request)
    _batch_file(data).unlink()
    sync_folder(privacy_folder(data))
