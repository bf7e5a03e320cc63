"""A warehouse for tests: landing files ▶ dlt ▶ dbt in this process, without Dagster, and queries of its tables."""

import gc
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

from ingestion.data_folder import landing_folder, warehouse_file, workspace
from ingestion.experiments import experiments_file, load_experiments
from ingestion.landing import sealed_files
from ingestion.shops import load_shops
from ingestion.sources.catalogue import catalogue_source
from ingestion.sources.experiments import experiments_source
from ingestion.sources.pixel import pixel_source
from ingestion.sources.privacy import privacy_source
from ingestion.sources.shopify import Settings, shopify_source
from ingestion.sources.shops import shops_source
from ingestion.warehouse import archive_loaded, not_loaded, open_pipeline
from orchestration.dbt_manifest import UNCHANGED
from orchestration.parsed_dbt import parsed_project

IS_INCREMENTAL = "select count(*) from information_schema.tables where table_name = 'int_landing_files_processed'"
DBT_PROJECT = Path(__file__).resolve().parent.parent / "dbt_project"
# Tests that run in parallel must not write the same dbt file.
TARGET = str(DBT_PROJECT / "target" / os.environ.get("PYTEST_XDIST_WORKER", "tests"))
# Formatting debug events takes a third of dbt's time, writing manifest.json a tenth.
QUICKLY = ("--log-level", "none", "--log-level-file", "none", "--no-write-json")
MARTS = ("core", "analytics", "recommendations", "experiments", "operations")
STORED = (
    "int_events",
    "int_events_rejected",
    "int_sessions",
    "int_visits",
    "int_checkout_events",
    "int_order_amounts",
    "int_order_lines",
    "int_cart_lines",
    "int_checkouts",
    "int_product_mentions",
    "int_session_products",
    "int_view_pairs_daily",
    "int_order_pairs_daily",
    "int_list_events",
)
WORK_SETS = (
    "int_events_changed_this_run",
    "int_identifiers_this_run",
    "int_days_replaced_this_run",
    "int_events_received_this_run",
)
# Tables about the runs themselves differ between one run and many.
RUN_METADATA = ("operations.loads",)


class Warehouse:
    """A data folder with its shops; `load` and `build` are the two halves of a refresh."""

    def __init__(self, data: Path, shops: Path, load: bool = True) -> None:
        """load: load shops.toml, experiments.toml and empty tables of other sources; False: they are loaded already."""
        self._built_with: Any = None  # the rules and variables of the last build
        data.mkdir(parents=True, exist_ok=True)
        self.data, self.landing, self.file = data, landing_folder(data), warehouse_file(data)
        if not load:
            return
        known = load_shops(shops)
        open_pipeline("shops", data).run(shops_source(known))
        experiments = load_experiments(experiments_file(shops), known)
        open_pipeline("experiments", data).run(experiments_source(experiments))
        nothing = Settings(orders_of=frozenset(), known_products=lambda _: set(), workspace=workspace(data))
        open_pipeline("shopify", data).run(shopify_source([], nothing))
        open_pipeline("catalogue", data).run(catalogue_source([]))
        open_pipeline("privacy", data).run(privacy_source())

    def load(self) -> None:
        """Load the landing files."""
        sealed = sealed_files(self.landing)
        open_pipeline("pixel", self.data).run(pixel_source(not_loaded(sealed, self.data), workspace(self.data)))
        archive_loaded(sealed, self.data)

    def build(self, *arguments: str, env: dict[str, str] | None = None, with_tests: bool = False) -> Any:
        """Run dbt's seeds and models, and data tests if asked; returns the result of each.

        Like a refresh, it leaves out views and seeds if the last build had the same rules and the next one is not full.

        Raises:
            AssertionError: one of them failed.
        """
        whole = not with_tests and not {"--select", "--exclude", "--full-refresh"} & set(arguments)
        same_rules = whole and self._built_with == (arguments, env)
        unchanged = ("--exclude", UNCHANGED) if same_rules and self.query(IS_INCREMENTAL) == [(1,)] else ()
        done = self.try_build(*arguments, *unchanged, env=env, with_tests=with_tests)
        failed = [
            f"{result.node.name}: {result.message}"
            for result in done.result or []
            if result.status in ("error", "fail")
        ]
        assert done.success, failed or done.exception
        if whole:
            self._built_with = arguments, env
        return done.result

    def try_build(
        self,
        *arguments: str,
        env: dict[str, str] | None = None,
        with_tests: bool = False,
        project: Path = DBT_PROJECT,
        target: str = TARGET,
    ) -> Any:
        """Like `build`, but returns dbt's result also on failure."""
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager
        from dbt.cli.main import dbtRunner

        before = dict(os.environ)
        os.environ |= {"PIXELNOVA_DATA": str(self.data), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", **(env or {})}
        try:
            folders = ["--project-dir", str(project), "--profiles-dir", str(project), "--target-path", target]
            kinds = ["--exclude-resource-type", "unit_test"] + ([] if with_tests else ["test"])
            parsed = parsed_project() if project == DBT_PROJECT else None
            gc.disable()  # most of dbt's objects live until its end
            return dbtRunner(parsed).invoke(["build", *QUICKLY, *folders, *kinds, *arguments])
        finally:
            gc.enable()
            DuckDBConnectionManager.close_all_connections()
            os.environ.clear()
            os.environ.update(before)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with duckdb.connect(str(self.file), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def table(self, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """The column names and the rows of a query."""
        with duckdb.connect(str(self.file), read_only=True) as connection:
            cursor = connection.execute(sql)
            return [column[0] for column in cursor.description], cursor.fetchall()

    def tables(self) -> list[str]:
        """All marts, and the tables that keep history, by schema and name."""
        rows = self.query("select table_schema, table_name from information_schema.tables order by all")
        return [
            f"{schema}.{name}"
            for schema, name in rows
            if (schema in MARTS or (schema == "intermediate" and name in STORED))
            and f"{schema}.{name}" not in RUN_METADATA
        ]


def differences(one: Warehouse, other: Warehouse, tables: Sequence[str] | None = None) -> dict[str, list[Any]]:
    """By table, some of the rows that are in only one of the warehouses; equal tables are omitted.

    Landing file names are not compared, because they depend on how the runs were cut.

    Raises:
        AssertionError: a table is in only one of the warehouses.
    """
    assert set(one.tables()) == set(other.tables())
    return differing_rows(one, other, tables or one.tables())


def differing_rows(one: Warehouse, other: Warehouse, tables: Sequence[str]) -> dict[str, list[Any]]:
    """Like `differences`, for warehouses of which only these tables have to be in both, with the same columns."""
    found = {}
    with duckdb.connect() as connection:
        connection.execute(f"attach '{one.file}' as one (read_only)")
        connection.execute(f"attach '{other.file}' as other (read_only)")
        for name in tables:
            rows = []
            for here, there in (("one", "other"), ("other", "one")):
                # A view names its tables without a database, so it is read while its own database is in use.
                for database in (here, there):
                    connection.execute(f"use {database}")
                    connection.execute(
                        f"create or replace temp table {database}_rows as "
                        f"select columns(lambda name: name <> 'landing_file') from {name}"
                    )
                rows += connection.execute(
                    f"select '{here}' as only_in, * from (from {here}_rows except all from {there}_rows) limit 3"
                ).fetchall()
            if rows:
                found[name] = rows
    return found
