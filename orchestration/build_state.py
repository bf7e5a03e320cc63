"""Whether dbt can build incrementally, or needs a full rebuild.

Compares a fingerprint of the project's files and the warehouse's shops with the one that dbt's on-run-end hook stored.
"""

import hashlib
from pathlib import Path

import duckdb

from ingestion.sources.pixel import classifier
from ingestion.warehouse_connection import connect
from orchestration.settings import DBT_PROJECT, engine, project_files
from serving.publish import MART_SCHEMAS, REMEMBERED

FINGERPRINT_VARIABLE = "PIXELNOVA_FINGERPRINT"
_MARK = "intermediate.int_landing_files_processed"


def fingerprint(warehouse: Path) -> str:
    """A hash of everything that determines rows: SQL, seeds, variables, the engine, user agent lists, and the shops.

    The shops are read from the warehouse, not from shops.toml, which may have been edited since the load.
    """
    digest = hashlib.sha256()
    for path in sorted(project_files()):
        if path.suffix in (".sql", ".csv") or path.name == "dbt_project.yml":
            digest.update(path.relative_to(DBT_PROJECT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    digest.update(f"{engine()}, duckdb {duckdb.__version__}, {classifier()}".encode())
    with connect(warehouse) as connection:
        for sql in (
            "select domain, timezone, currency from raw_shops.shops order by all",
            "select shop, host from raw_shops.hosts order by all",
            "select shop, value, channel from raw_shops.channels order by all",
        ):
            digest.update(repr(connection.execute(sql).fetchall()).encode())
    return digest.hexdigest()


def raw_state(warehouse: Path) -> str:
    """A digest of the raw tables from Shopify, catalogue files and the pixel; the digests of files cover all others.

    These tables are append-only, so row counts are enough. A new fetch time does not change the digest; an error does.
    """
    with connect(warehouse) as connection:
        tables = connection.execute(
            "select table_schema || '.' || table_name from information_schema.tables where "
            "table_schema in ('raw_shopify', 'raw_catalogue', 'raw_pixel') and not starts_with(table_name, '_dlt') "
            "and table_name <> 'fetches' order by all"
        ).fetchall()
        counts = [connection.execute(f"select count(*) from {table}").fetchall() for (table,) in tables]
        try:
            errors = connection.execute(
                "select shop, subject, arg_max_null(error, began_at) from raw_shopify.fetches group by all order by all"
            ).fetchall()
        except duckdb.CatalogException:
            errors = []
    return hashlib.sha256(repr((tables, counts, errors)).encode()).hexdigest()


def needs_rebuild(warehouse: Path, current: str) -> bool:
    """Whether no run has finished yet, or the last one had another fingerprint."""
    with connect(warehouse) as connection:
        try:
            found = connection.execute(f"select distinct fingerprint from {_MARK}").fetchall()
        except duckdb.CatalogException:
            return True
    return found != [(current,)]


def mark_for_rebuild(warehouse: Path) -> None:
    """Make the next build a full one, even if this process dies now. Drops all marts without history."""
    with connect(warehouse) as connection:
        connection.execute(f"drop table if exists {_MARK}")
        marts = connection.execute(
            "select table_schema, table_name, table_type from information_schema.tables "
            "where list_contains($schemas, table_schema) and not list_contains($remembered, table_name)",
            {"schemas": list(MART_SCHEMAS), "remembered": list(REMEMBERED)},
        ).fetchall()
        for schema, name, kind in marts:
            connection.execute(f"drop {'view' if kind == 'VIEW' else 'table'} {schema}.{name}")
