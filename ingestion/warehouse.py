"""The dlt pipelines that load the warehouse, and the ledger of loaded landing files.

The pipeline of a source writes to the schema `raw_<source>` of data/warehouse.duckdb.
"""

import logging
import shutil
from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime
from pathlib import Path

import dlt
import duckdb
from dlt.destinations.impl.duckdb.configuration import DuckDbCredentials

from ingestion.data_folder import landing_folder, warehouse_file, workspace
from ingestion.duckdb_settings import loading_settings
from ingestion.landing import archive, archived_parts, check_part, landing_name
from ingestion.sources.pixel import CLOCK_TOLERANCE, classifier
from ingestion.warehouse_connection import WaitingDuckdb, connect

LANDING_TABLES = ("events", "unreadable_lines", "landing_files")

_COUNTS = """
    select landing_file, 0 as entries, 0 as counted_events, 0 as counted_lines, count(*) as events, 0 as lines
    from raw_pixel.events group by landing_file
    union all
    select landing_file, 0, 0, 0, 0, count(*) from raw_pixel.unreadable_lines group by landing_file
    union all
    select landing_file, 1, events, unreadable_lines, 0, 0 from raw_pixel.landing_files
"""
_MISCOUNTED = f"""
    select landing_file from ({_COUNTS}) group by landing_file
    having sum(entries) <> 1 or sum(counted_events) <> sum(events) or sum(counted_lines) <> sum(lines)
"""
_COUNT_AGAIN = f"""
    create or replace temp table counted_again as
    with counts as (
        select landing_file, sum(events) as events, sum(lines) as unreadable_lines
        from ({_COUNTS}) where landing_file in (select unnest($files)) group by landing_file
    ),
    received as (
        select
            landing_file,
            max(received_at) filter (where received_at <= coalesce(load_began_at, received_at) + $clock_tolerance)
                as newest_received_at
        from raw_pixel.events where landing_file in (select unnest($files)) group by landing_file
    )
    select
        landing_file,
        any_value(counts.events) as events,
        any_value(counts.unreadable_lines) as unreadable_lines,
        coalesce(max(entry.bytes), 0) as bytes,
        coalesce(max(entry.loaded_at), any_value(received.newest_received_at)) as loaded_at,
        any_value(received.newest_received_at) as newest_received_at,
        coalesce(max(entry._dlt_load_id), 'unknown') as _dlt_load_id,
        coalesce(max(entry._dlt_id), landing_file) as _dlt_id
    from counts left join received using (landing_file) left join raw_pixel.landing_files as entry using (landing_file)
    group by landing_file
"""

log = logging.getLogger(__name__)


def open_pipeline(source_name: str, data: Path) -> dlt.Pipeline:
    """The dlt pipeline of a source, in an empty working folder.

    Complete leftovers of a killed run are loaded first. The rest is deleted: loaded data is in the warehouse, as is
    dlt's own state, and anything else is read or fetched again.
    """
    folder = data / "dlt" / source_name
    if folder.exists():
        _finish(source_name, data, folder)
        shutil.rmtree(folder)
    return _pipeline(source_name, data)


def _finish(source_name: str, data: Path, folder: Path) -> None:
    """Load what was extracted, unless its files are damaged."""
    for completed in folder.glob("load/normalized/*/package_completed.json"):
        shutil.rmtree(completed.parent)  # loaded and recorded; only its move to `loaded` is missing
    try:
        if any(file.stat().st_size == 0 for file in folder.rglob("*") if file.is_file()):
            raise ValueError("a file is empty")  # after a power cut; dlt would silently load no rows
        pipeline = _pipeline(source_name, data)
        if pipeline.has_pending_data:
            pipeline.run()
    except Exception as error:
        if isinstance(error.__cause__, KeyboardInterrupt):
            raise
        log.warning("Leftovers of a killed run in %s are damaged; their data will be loaded again: %s", folder, error)


def _pipeline(source_name: str, data: Path) -> dlt.Pipeline:
    credentials = DuckDbCredentials(str(warehouse_file(data)))
    credentials.global_config = loading_settings()
    return dlt.pipeline(
        pipeline_name=source_name,
        dataset_name=f"raw_{source_name}",
        destination=WaitingDuckdb(credentials, destination_name="duckdb"),
        pipelines_dir=str(data / "dlt"),
    )


def not_loaded(files: Iterable[Path], data: Path) -> list[Path]:
    """The sealed and archived landing files that are not in the ledger, and so must be loaded.

    Sealed files in the ledger only wait to be archived. Archived files not in the ledger were added by the operator,
    or the warehouse was lost or reset. A file that is both (its archiving was interrupted) is loaded once.
    """
    sealed = list(files)
    known = reconcile(sealed, data)
    sealed = [file for file in sealed if landing_name(file) not in known]
    known |= {landing_name(file) for file in sealed}
    return sealed + [part for part in archived_parts(landing_folder(data)) if landing_name(part) not in known]


def reconcile(sealed: Iterable[Path], data: Path) -> set[str]:
    """Make raw rows and ledger agree on each landing file; returns the names of the loaded files.

    A killed load may leave rows without a ledger entry, an entry without rows, or duplicates of either. The rows and
    entry of such a file are deleted, so that it is loaded again. If the file no longer exists, sealed or archived, its
    rows are deduplicated and counted again.
    """
    with connect(warehouse_file(data)) as connection:
        [(tables,)] = connection.execute(
            "select count(*) from information_schema.tables where table_schema = 'raw_pixel' "
            f"and table_name in {LANDING_TABLES}"
        ).fetchall()
        if tables < len(LANDING_TABLES):
            return set()
        wrong = {name for (name,) in connection.execute(_MISCOUNTED).fetchall()}
        if wrong:
            log.warning("Corrected: the raw rows of %s landing files did not match the ledger", f"{len(wrong):,}")
            on_disk = {landing_name(file) for file in [*sealed, *archived_parts(landing_folder(data))]}
            connection.begin()
            for table in LANDING_TABLES:
                connection.execute(
                    f"delete from raw_pixel.{table} where landing_file in (select unnest($files))",
                    {"files": list(wrong & on_disk)},
                )
            if wrong - on_disk:
                _keep_once(connection, list(wrong - on_disk))
            connection.commit()
        return {name for (name,) in connection.execute("select landing_file from raw_pixel.landing_files").fetchall()}


def _keep_once(connection: duckdb.DuckDBPyConnection, files: list[str]) -> None:
    """Deduplicate the rows of files that cannot be loaded again, and update their ledger entries."""
    copy_of = {
        "events": ", ".join(f'"{column}"' for column in connection.table("raw_pixel.events").columns),
        "unreadable_lines": "landing_file, coalesce(line_number::varchar, _dlt_id)",  # events put aside have no number
    }
    for table, same in copy_of.items():
        connection.execute(
            f"""
            delete from raw_pixel.{table} where rowid in (
                select rowid from (
                    select rowid, row_number() over (partition by {same}) as copy_number
                    from raw_pixel.{table} where landing_file in (select unnest($files))
                ) where copy_number > 1
            )
            """,
            {"files": files},
        )
    connection.execute(_COUNT_AGAIN, {"files": files, "clock_tolerance": CLOCK_TOLERANCE})
    connection.execute(
        "delete from raw_pixel.landing_files where landing_file in (select unnest($files))", {"files": files}
    )
    connection.execute("insert into raw_pixel.landing_files by name select * from counted_again")
    connection.execute("drop table counted_again")


def outdated_user_agents(data: Path) -> list[str]:
    """The user agents classified by an older version of the lists."""
    with connect(warehouse_file(data)) as connection:
        try:
            rows = connection.execute(
                "select user_agent from raw_pixel.user_agents where classified_by is distinct from $lists",
                {"lists": classifier()},
            ).fetchall()
        except (duckdb.CatalogException, duckdb.BinderException):  # no table yet, or one without the column
            return []
    return [user_agent for (user_agent,) in rows]


def files_of_days(data: Path, shop: str, first: date, last: date) -> set[str]:
    """The names of the archived landing files with events that a shop sent on these days (received, UTC)."""
    folders = (landing_folder(data) / "archive" / f"shop={shop}").glob("received_date=*")
    days = {folder.name.partition("=")[2]: folder for folder in folders}
    within = [folder for day, folder in days.items() if first.isoformat() <= day <= last.isoformat()]
    return {landing_name(part) for folder in within for part in folder.glob("events-*.jsonl.zst")}


def reset_ledger(
    data: Path, archived_since: Mapping[str, date] | None = None, files: Collection[str] | None = None
) -> int:
    """Delete the rows of landing files, so that the next load reads them from the archive. Shopify's tables stay.

    Args:
        archived_since: by shop with a limited archive, the first day received that it has; files with older events keep
            their rows, and all user agents stay.
        files: names of landing files; None: all, with everything else that was loaded from them.

    Returns:
        The number of files that will be loaded again.

    Raises:
        DamagedPart: a part that would be read is damaged; no rows are deleted.
    """
    for part in archived_parts(landing_folder(data)):
        if files is None or landing_name(part) in files:
            check_part(part)
    open_pipeline("pixel", data)  # loads leftovers of a killed run now rather than later
    with connect(warehouse_file(data)) as connection:
        connection.begin()
        tables = connection.execute(
            "select table_name from information_schema.tables where table_schema = 'raw_pixel' "
            "and table_name not like '\\_dlt%' escape '\\'"
        ).fetchall()
        connection.execute("create temp table not_archived (landing_file varchar)")
        for shop, since in (archived_since or {}).items():
            connection.execute(
                "insert into not_archived select distinct landing_file from raw_pixel.events "
                "where shop = $shop and received_at < cast($since as timestamptz)",
                {"shop": shop, "since": f"{since.isoformat()} 00:00:00+00"},
            )
        again = "landing_file not in (select landing_file from not_archived)"
        if files is not None:
            connection.execute("create temp table chosen as select unnest($files) as landing_file", {"files": [*files]})
            again += " and landing_file in (select landing_file from chosen)"
        deleted = 0
        for (table,) in tables:
            if table in LANDING_TABLES:
                done = connection.execute(f"delete from raw_pixel.{table} where {again}").fetchall()
                deleted = done[0][0] if table == "landing_files" else deleted
            elif files is None and not archived_since:  # user agents: events that stay may have them too
                connection.execute(f"delete from raw_pixel.{table}")
        connection.commit()
    return deleted


def archive_loaded(files: Iterable[Path], data: Path) -> list[Path]:
    """Move landing files that are in the ledger to the archive and empty the workspace; returns the parts."""
    sealed = list(files)
    known = reconcile(sealed, data)
    parts = [part for file in sealed if file.name in known for part in archive(file)]
    shutil.rmtree(workspace(data), ignore_errors=True)
    return parts


def known_products(data: Path, shop: str) -> set[str]:
    """The ids of a shop's products that came from the Admin API and have not been deleted since."""
    with connect(warehouse_file(data)) as connection:
        rows = connection.execute(
            """
            select products.id
            from raw_shopify.products
            left join raw_shopify.product_deletions as deletions
                on products.shop = deletions.shop and products.id = deletions.id
            where products.shop = $shop
            group by products.id
            having max(deletions.fetched_at) is null or max(deletions.fetched_at) < max(products.fetched_at)
            """,
            {"shop": shop},
        ).fetchall()
    return {product_id for (product_id,) in rows}


def newest_answer(data: Path, shop: str) -> datetime | None:
    """When the newest rows of a shop were fetched from the Admin API; None before the first."""
    with connect(warehouse_file(data)) as connection:
        tables = connection.execute(
            "select table_name from information_schema.columns "
            "where table_schema = 'raw_shopify' and column_name = 'fetched_at'"
        ).fetchall()
        newest = [
            connection.execute(
                f"select max(fetched_at) from raw_shopify.{table} where shop = $shop", {"shop": shop}
            ).fetchone()[0]
            for (table,) in tables
        ]
    return max((at for at in newest if at is not None), default=None)
