"""Where the warehouse is, and the one dlt pipeline that loads it.

A source's name flows in; a pipeline into the schema `raw_<source>` of data/warehouse.duckdb flows out.
"""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import dlt
import duckdb
from dlt.destinations.impl.duckdb.configuration import DuckDbCredentials

from ingestion.duckdb_settings import loading_settings
from ingestion.landing import archive, archived_parts, landing_name
from ingestion.sources.pixel import classifier

FILE_NAME = "warehouse.duckdb"


@dataclass(frozen=True)
class FailedFetch:
    """What could not be fetched the last time. subject: shop and what was asked of it. error: a sentence."""

    subject: str
    error: str


class WarehouseInUse(Exception):
    """Another process has the warehouse open."""


def warehouse_file(data: Path) -> Path:
    """The warehouse within a data folder. One process may have it open to write, or many to read."""
    return data / FILE_NAME


def landing_folder(data: Path) -> Path:
    """The landing folder within a data folder."""
    return data / "landing"


def workspace(data: Path) -> Path:
    """Where a load may keep files until it has committed."""
    return data / "dlt" / "workspace"


def open_pipeline(source_name: str, data: Path) -> dlt.Pipeline:
    """The dlt pipeline of a source. What a killed run has extracted but not loaded is loaded first."""
    credentials = DuckDbCredentials(str(warehouse_file(data)))
    credentials.global_config = loading_settings()
    pipeline = dlt.pipeline(
        pipeline_name=source_name,
        dataset_name=f"raw_{source_name}",
        destination=dlt.destinations.duckdb(credentials),
        pipelines_dir=str(data / "dlt"),
    )
    if pipeline.has_pending_data:
        pipeline.run()
    return pipeline


def not_loaded(files: Iterable[Path], data: Path) -> list[Path]:
    """What is to be loaded: those of the sealed landing files, and of all archived ones, that the ledger does not know.

    Sealed files that it knows only wait to be archived. Archived ones that it does not know were put there, or belong
    to a warehouse that was lost or begins anew. A file that is both (its archiving was cut short) is loaded once.
    """
    known = _ledger(data)
    sealed = [file for file in files if landing_name(file) not in known]
    known |= {landing_name(file) for file in sealed}
    return sealed + [part for part in archived_parts(landing_folder(data)) if landing_name(part) not in known]


def outdated_user_agents(data: Path) -> list[str]:
    """The user agents that other lists than today's have classified."""
    with duckdb.connect(str(warehouse_file(data))) as connection:
        try:
            rows = connection.execute(
                "select user_agent from raw_pixel.user_agents where classified_by is distinct from $lists",
                {"lists": classifier()},
            ).fetchall()
        except (duckdb.CatalogException, duckdb.BinderException):  # no table yet, or one without the column
            return []
    return [user_agent for (user_agent,) in rows]


def forget_loads(data: Path) -> None:
    """Empty the tables of landing files, so that the next load takes the whole archive. Shopify's answers stay."""
    open_pipeline("pixel", data)  # what a killed run has left is loaded now, and not after
    with duckdb.connect(str(warehouse_file(data))) as connection:
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
    known = _ledger(data)
    parts = [part for file in files if file.name in known for part in archive(file)]
    shutil.rmtree(workspace(data), ignore_errors=True)
    return parts


def last_load(data: Path) -> tuple[datetime, int] | None:
    """When landing files were loaded last (UTC), and how many events.

    Raises:
        WarehouseInUse: a run has the warehouse open.
    """
    if not warehouse_file(data).exists():
        return None
    try:
        with duckdb.connect(str(warehouse_file(data)), read_only=True) as connection:
            return connection.execute(
                "select max(loaded_at) at time zone 'UTC' as loaded_until, sum(events) from raw_pixel.landing_files "
                "group by _dlt_load_id order by loaded_until desc limit 1"
            ).fetchone()
    except duckdb.CatalogException:
        return None
    except duckdb.IOException as error:
        raise WarehouseInUse(f"{warehouse_file(data)} is in use: {error}") from error


def _ledger(data: Path) -> set[str]:
    with duckdb.connect(str(warehouse_file(data))) as connection:
        exists = connection.execute(
            "select 1 from information_schema.tables where table_schema = 'raw_pixel' and table_name = 'landing_files'"
        ).fetchone()
        if not exists:
            return set()
        return {name for (name,) in connection.execute("select landing_file from raw_pixel.landing_files").fetchall()}


def known_products(data: Path, shop: str) -> set[str]:
    """The ids of a shop's products that the Admin API has told of, and not told to be deleted since."""
    with duckdb.connect(str(warehouse_file(data))) as connection:
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


def failed_fetches(data: Path, of_admin_api: Iterable[str], of_files: Iterable[str]) -> list[FailedFetch]:
    """What the newest run could not get of these shops' Admin APIs, and what was wrong with these shops' files."""
    with duckdb.connect(str(warehouse_file(data))) as connection:
        rows = connection.execute(
            """
            with fetches as (
                select shop, subject, began_at, error from raw_shopify.fetches
                where shop in (select unnest($of_admin_api))
            ),
            runs as (
                select shop, max(began_at) as began_at from fetches where subject = $first_subject group by shop
            ),
            readings as (
                select shop, file as subject, error,
                    row_number() over (partition by shop order by fetched_at desc) as age
                from raw_catalogue.readings
                where shop in (select unnest($of_files))
            )
            select fetches.shop || ': ' || fetches.subject, fetches.error
            from fetches inner join runs on fetches.shop = runs.shop and fetches.began_at >= runs.began_at
            where fetches.error is not null
            union all
            select shop || ': ' || subject, error from readings where age = 1 and error is not null
            order by all
            """,
            {"of_admin_api": list(of_admin_api), "of_files": list(of_files), "first_subject": "deletions"},
        ).fetchall()
    return [FailedFetch(subject, error) for subject, error in rows]
