"""Where the warehouse is, and the one dlt pipeline that loads it.

A source's name flows in; a pipeline into the schema `raw_<source>` of data/warehouse.duckdb flows out.
"""

from collections.abc import Iterable
from pathlib import Path

import dlt
import duckdb

from ingestion.landing import archive

FILE_NAME = "warehouse.duckdb"


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
    """Move those landing files that the ledger knows to the archive; the parts are returned."""
    known = _ledger(data)
    return [part for file in files if file.name in known for part in archive(file)]


def _ledger(data: Path) -> set[str]:
    with duckdb.connect(str(warehouse_file(data))) as connection:
        exists = connection.execute(
            "select 1 from information_schema.tables where table_schema = 'raw_pixel' and table_name = 'landing_files'"
        ).fetchone()
        if not exists:
            return set()
        return {name for (name,) in connection.execute("select landing_file from raw_pixel.landing_files").fetchall()}
