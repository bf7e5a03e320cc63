"""Publishes the marts: a new folder of files, then one atomic switch of `current`.

Reads the warehouse (read-only), writes data/published/<version>. Readers see the old version or the new one, never a
mixture. An interrupted publication leaves only an unused folder, which the next publication removes.
"""

import hashlib
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import msgspec

from serving.duckdb_settings import connect
from serving.errors import ServingError
from serving.export import export
from serving.kept_versions import UNFINISHED, Limits, remove_old_versions, remove_unfinished, switch, sync
from serving.manifest import MANIFEST, Code, Data, Manifest, PublishedFile
from serving.metrics import encode_metrics, load_metrics
from serving.published import (
    ANALYSTS_FILE,
    METRICS_FILE,
    NothingPublished,
    Published,
    published_folder,
    read_current,
    read_version,
)
from serving.runs import RUNS_FILE, Run, encode_runs, published_runs

MART_SCHEMAS = ("core", "analytics", "recommendations", "experiments", "operations")
SORTED_BY = {"core.sessions": "shop, started_at"}  # so that a query for a period reads only part of a large table
REMEMBERED = ("evaluation_history",)  # marts that a rebuild cannot recreate
STORAGE_VERSION = "v1.4.0"  # so that older DuckDB tools open the file too

log = logging.getLogger(__name__)


class PublishError(ServingError):
    """There is nothing to publish, or the target is not writable; the message names the remedy."""


def publish(warehouse: Path, data: Path, code: Code | None = None, runs: Sequence[Run] | None = None) -> Published:
    """Write a new version from the warehouse, make it the current one, and remove old ones.

    Args:
        code: the code that built the warehouse, for the manifest.
        runs: the pipeline's last runs, newest first; None keeps those of the current version.

    Raises:
        VersionError: a limit in the environment is not a number.
        PublishError: the warehouse has no marts, or the folder cannot be written; `current` stays as it was.
    """
    if not warehouse.exists():
        raise PublishError(f"{warehouse} does not exist: run `pixelnova refresh` first.")
    limits = Limits.of_environment()
    folder = published_folder(data)
    published_at = datetime.now(UTC)
    version = f"{published_at:%Y%m%dT%H%M%S}.{published_at.microsecond // 1000:03d}Z"
    unfinished = folder / f"{UNFINISHED}{version}"
    try:
        remove_unfinished(folder)
        unfinished.mkdir(parents=True)
        known = _runs_of_current(data) if runs is None else runs
        _write_version(warehouse, unfinished, version, published_at, code or Code(), known)
        _sync_tree(unfinished)
        unfinished.rename(folder / version)
        switch(folder, version)
        remove_old_versions(data, limits, published_at)
    except (OSError, duckdb.Error) as error:
        raise PublishError(
            f"{warehouse} cannot be published to {folder} ({error}): fix that, then run `pixelnova publish`."
        ) from error
    log.info("published version %s", version)
    return read_version(folder / version)


def _runs_of_current(data: Path) -> list[Run]:
    try:
        return published_runs(read_current(data))
    except (NothingPublished, OSError, ValueError):  # a damaged version must not prevent the one that replaces it
        return []


def _write_version(
    warehouse: Path, folder: Path, version: str, published_at: datetime, code: Code, runs: Sequence[Run]
) -> None:
    with connect() as connection:
        connection.execute(f"set temp_directory = {_literal(str(folder / '.spilled'))}")
        connection.execute(f"attach {_literal(str(warehouse))} as warehouse (read_only)")
        connection.execute("use warehouse")  # views resolve their tables in the current database
        rows_by_table = _copy_marts(connection, folder / ANALYSTS_FILE)
        [(newest, load, landing_files)] = connection.execute(
            "select max(newest_received_at), max_by(load_id, (loaded_at, load_id)), coalesce(sum(landing_files), 0) "
            "from warehouse.operations.loads"
        ).fetchall()
        as_of = None if newest is None else newest.replace(tzinfo=UTC).isoformat()
        exported = export(connection, folder, version)
    (folder / METRICS_FILE).write_bytes(encode_metrics(load_metrics()))
    (folder / RUNS_FILE).write_bytes(encode_runs(runs))
    files = [
        PublishedFile(
            path=name,
            bytes=(folder / name).stat().st_size,
            sha256=sha256(folder / name),
            rows=exported.rows.get(name),
        )
        for name in [ANALYSTS_FILE, METRICS_FILE, RUNS_FILE, *sorted(exported.rows)]
    ]
    manifest = Manifest(
        version=version,
        published_at=published_at.isoformat(),
        as_of=as_of,
        rows_by_table=rows_by_table,
        files=files,
        model_version=exported.settings.model_version,
        settings=exported.settings,
        ineligible_dropped=exported.ineligible_dropped,
        data=Data(newest_load=load, landing_files=int(landing_files)),
        code=code,
    )
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")


def _copy_marts(connection: duckdb.DuckDBPyConnection, target: Path) -> dict[str, int]:
    """Copy all marts and their descriptions into a new database; returns row counts by table."""
    marts = connection.execute(
        "select schema_name, table_name, comment from duckdb_tables() "
        "where database_name = 'warehouse' and list_contains($schemas, schema_name) union all "
        "select schema_name, view_name, comment from duckdb_views() "
        "where database_name = 'warehouse' and list_contains($schemas, schema_name) order by all",
        {"schemas": list(MART_SCHEMAS)},
    ).fetchall()
    if not marts:
        raise PublishError("The warehouse has no marts: run `pixelnova refresh` first.")
    columns = connection.execute(
        "select schema_name, table_name, column_name, comment from duckdb_columns() "
        "where database_name = 'warehouse' and list_contains($schemas, schema_name) and comment is not null",
        {"schemas": list(MART_SCHEMAS)},
    ).fetchall()
    connection.execute(f"attach {_literal(str(target))} as published (storage_version '{STORAGE_VERSION}')")
    rows = {}
    for schema, table, comment in marts:
        published = f"published.{schema}.{table}"
        connection.execute(f"create schema if not exists published.{schema}")
        order = f" order by {SORTED_BY[name]}" if (name := f"{schema}.{table}") in SORTED_BY else ""
        connection.execute(f"create table {published} as from warehouse.{name}{order}")
        connection.execute(f"comment on table {published} is {_literal(comment or '')}")
        rows[name] = connection.execute(f"select count(*) from {published}").fetchone()[0]
    for schema, table, column, comment in columns:
        connection.execute(f'comment on column published.{schema}.{table}."{column}" is {_literal(comment)}')
    connection.execute("detach published")
    _name_in_main(target, marts)
    return rows


def _name_in_main(target: Path, marts: Sequence[tuple[str, str, str | None]]) -> None:
    """Create a view of every mart in the file's main schema, so that `show tables` lists them and bare names resolve.

    The views are created inside the file itself, so they work under any attachment name.
    """
    with duckdb.connect(str(target)) as connection:
        for schema, table, comment in marts:
            connection.execute(f"create view main.{table} as select * from {schema}.{table}")
            connection.execute(f"comment on view main.{table} is {_literal(comment or '')}")


def _literal(text: str) -> str:
    return "'" + text.strip().replace("'", "''") + "'"


def sha256(file: Path) -> str:
    """A file's digest, as recorded in the manifest."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sync_tree(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        sync(path)
