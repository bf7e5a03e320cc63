"""Where the warehouse is, and the one dlt pipeline that loads it.

A source's name flows in; a pipeline into the schema `raw_<source>` of data/warehouse.duckdb flows out.
"""

import shutil
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import dlt
import duckdb

from ingestion.landing import archive

FILE_NAME = "warehouse.duckdb"


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
    pipeline = dlt.pipeline(
        pipeline_name=source_name,
        dataset_name=f"raw_{source_name}",
        destination=dlt.destinations.duckdb(str(warehouse_file(data))),
        pipelines_dir=str(data / "dlt"),
    )
    if pipeline.has_pending_data:
        pipeline.run()
    return pipeline


def not_loaded(files: Iterable[Path], data: Path) -> list[Path]:
    """Those landing files that the ledger does not know; the others only wait to be archived."""
    known = _ledger(data)
    return [file for file in files if file.name not in known]


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
