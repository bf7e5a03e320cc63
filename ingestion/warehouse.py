"""The one dlt pipeline that loads the warehouse, and the ledger of the landing files it holds.

A pipeline of a source writes to the schema `raw_<source>` of data/warehouse.duckdb.
"""

import logging
import shutil
from collections.abc import Iterable
from pathlib import Path

import dlt
import duckdb
from dlt.destinations.impl.duckdb.configuration import DuckDbCredentials

from ingestion.data_folder import landing_folder, warehouse_file, workspace
from ingestion.duckdb_settings import loading_settings
from ingestion.landing import archive, archived_parts, landing_name
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

    What a killed run has left there is loaded first if it is whole. The rest is cleared: what was loaded is in the
    warehouse, dlt's own state with it, and what was not is read or asked for again.
    """
    folder = data / "dlt" / source_name
    if folder.exists():
        _finish(source_name, data, folder)
        shutil.rmtree(folder)
    return _pipeline(source_name, data)


def _finish(source_name: str, data: Path, folder: Path) -> None:
    """Load what was extracted, unless its files are damaged."""
    for completed in folder.glob("load/normalized/*/package_completed.json"):
        shutil.rmtree(completed.parent)  # loaded and noted; only its move to `loaded` is missing
    try:
        if any(file.stat().st_size == 0 for file in folder.rglob("*") if file.is_file()):
            raise ValueError("a file is empty")  # as a power cut leaves them; dlt would load no rows and go on
        pipeline = _pipeline(source_name, data)
        if pipeline.has_pending_data:
            pipeline.run()
    except Exception as error:
        if isinstance(error.__cause__, KeyboardInterrupt):
            raise
        log.warning("What a killed run left in %s cannot be finished and is loaded again: %s", folder, error)


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
    """What is to be loaded: those of the sealed landing files, and of all archived ones, that the ledger does not know.

    Sealed files that it knows only wait to be archived. Archived ones that it does not know were put there, or belong
    to a warehouse that was lost or begins again. A file that is both (its archiving was cut short) is loaded once.
    """
    sealed = list(files)
    known = reconcile(sealed, data)
    sealed = [file for file in sealed if landing_name(file) not in known]
    known |= {landing_name(file) for file in sealed}
    return sealed + [part for part in archived_parts(landing_folder(data)) if landing_name(part) not in known]


def reconcile(sealed: Iterable[Path], data: Path) -> set[str]:
    """Make the raw rows of each landing file those that the ledger counts; returns the names of the loaded files.

    A killed load may have left rows without an entry in the ledger, an entry without rows, or either of them twice.
    Such a file is forgotten, so that it is loaded again. If it is neither sealed nor archived any more, each of its
    rows is kept once, and the ledger counts these.
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
            log.warning("Corrected: the raw rows of %s landing files were not those of the ledger", f"{len(wrong):,}")
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
    """Remove second copies of rows of files that cannot be loaded again, and count what is left in the ledger."""
    copy_of = {
        "events": connection.table("raw_pixel.events").columns,
        "unreadable_lines": ["landing_file", "line_number"],
    }
    for table, columns in copy_of.items():
        same = ", ".join(f'"{column}"' for column in columns)
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
    """The user agents that other lists than today's have classified."""
    with connect(warehouse_file(data)) as connection:
        try:
            rows = connection.execute(
                "select user_agent from raw_pixel.user_agents where classified_by is distinct from $lists",
                {"lists": classifier()},
            ).fetchall()
        except (duckdb.CatalogException, duckdb.BinderException):  # no table yet, or one without the column
            return []
    return [user_agent for (user_agent,) in rows]


def reset_ledger(data: Path) -> None:
    """Empty the tables of landing files, so that the next load takes the whole archive. Shopify's answers stay."""
    open_pipeline("pixel", data)  # what a killed run has left is loaded now, and not after
    with connect(warehouse_file(data)) as connection:
        connection.begin()
        tables = connection.execute(
            "select table_name from information_schema.tables where table_schema = 'raw_pixel' "
            "and table_name not like '\\_dlt%' escape '\\'"
        ).fetchall()
        for (table,) in tables:
            connection.execute(f"delete from raw_pixel.{table}")
        connection.commit()


def archive_loaded(files: Iterable[Path], data: Path) -> list[Path]:
    """Move those landing files that the ledger knows to the archive, and empty the workspace; returns the parts."""
    sealed = list(files)
    known = reconcile(sealed, data)
    parts = [part for file in sealed if file.name in known for part in archive(file)]
    shutil.rmtree(workspace(data), ignore_errors=True)
    return parts


def known_products(data: Path, shop: str) -> set[str]:
    """The ids of a shop's products that the Admin API has told of, and not told to be deleted since."""
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
