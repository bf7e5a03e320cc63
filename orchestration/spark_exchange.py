"""Moves tables between the warehouse file and a Spark cluster, as Parquet files in a folder that both can read.

Reads data/warehouse.duckdb; writes the raw tables to `raw` in that folder, where Spark reads them, and the tables that
dbt built on Spark back to the warehouse. The folder is PIXELNOVA_EXCHANGE; default: data/exchange.
"""

import os
import shutil
import socket
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from ingestion.warehouse_connection import connect
from orchestration.errors import OrchestrationError
from orchestration.settings import number_setting

EXCHANGE_VARIABLE = "PIXELNOVA_EXCHANGE"
HOST_VARIABLE, PORT_VARIABLE, USER_VARIABLE = "PIXELNOVA_SPARK_HOST", "PIXELNOVA_SPARK_PORT", "PIXELNOVA_SPARK_USER"
LEDGER = "intermediate.int_landing_files_processed"
AT_ONCE = 2  # concurrent statements on Spark
CONNECT_SECONDS = 10
TYPES = {
    "VARCHAR": "string",
    "JSON": "string",
    "INTEGER": "int",
    "TIMESTAMP WITH TIME ZONE": "timestamp",
}


class SparkUnreachable(OrchestrationError):
    """Spark's Thrift server does not answer, or its packages are not installed; the message names the remedy."""


def exchange_folder(data: Path) -> Path:
    """The folder for Parquet files; on a cluster of several hosts, it has the same path on all of them."""
    return Path(os.environ.get(EXCHANGE_VARIABLE, data / "exchange")).resolve()


class Spark(NamedTuple):
    """Spark's Thrift server; each call opens its own session, in UTC."""

    host: str
    port: int
    user: str

    @classmethod
    def of_environment(cls) -> "Spark":
        """The server that the environment names; dbt's target `spark` uses it too."""
        number = number_setting(PORT_VARIABLE, 10_000)
        return cls(os.environ.get(HOST_VARIABLE, "127.0.0.1"), int(number), os.environ.get(USER_VARIABLE, "pixelnova"))

    @contextmanager
    def session(self) -> Iterator[Any]:
        """Open a session; yields its cursor (Python's DB API).

        Raises:
            SparkUnreachable: the server does not answer, or its client is not installed.
        """
        try:
            from pyhive import hive
        except ImportError:
            raise SparkUnreachable("Spark's client is not installed: pip install 'pixelnova[spark]'.") from None
        settings = {"set:spark.sql.session.timeZone": "UTC"}
        try:
            socket.create_connection((self.host, self.port), CONNECT_SECONDS).close()  # PyHive would wait for minutes
            connection = hive.connect(self.host, self.port, username=self.user, configuration=settings)
        except Exception as error:  # Thrift's, or the operating system's
            raise SparkUnreachable(
                f"Spark's Thrift server does not answer at {self.host}:{self.port} ({error}): start it (for a trial: "
                f"`make spark-up`), or correct {HOST_VARIABLE} and {PORT_VARIABLE}."
            ) from error
        try:
            yield connection.cursor()
        finally:
            connection.close()

    def execute(self, *statements: str) -> None:
        """Run statements that return no rows, in one session."""
        with self.session() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with self.session() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()

    def export(self, table: str, folder: Path) -> None:
        """Write the rows of a table or view as Parquet files, replacing the folder's contents."""
        self.execute(f"insert overwrite directory '{folder}' using parquet select * from {table}")


def send_raw_tables(spark: Spark, warehouse: Path, folder: Path, everything: bool) -> None:
    """Write the raw tables, and the daily rows kept of expired events, and create Spark tables over them.

    Events are written once per load, and again if rows of the load have been put aside since.

    Args:
        everything: write all events again; an erasure may have changed any of them.
    """
    statements = ["drop schema if exists kept cascade"]  # exists only where a shop limits how long events are kept
    with connect(warehouse) as connection:
        connection.execute("set timezone = 'UTC'")
        tables = connection.execute(
            "select table_schema, table_name from information_schema.tables where table_type = 'BASE TABLE' "
            "and (table_schema like 'raw\\_%' escape '\\' and table_schema not like '%\\_staging' escape '\\' "
            "and table_name not like '\\_dlt%' escape '\\' or table_schema = 'kept') order by all"
        ).fetchall()
        for schema, name in tables:
            table, target = f"{schema}.{name}", folder / "raw" / schema / name
            if everything:
                shutil.rmtree(target, ignore_errors=True)
            target.mkdir(parents=True, exist_ok=True)
            if table == "raw_pixel.events":
                write_events(connection, target)
            else:
                _write(connection, f"from {table}", target / "rows.parquet")
            declared = ", ".join(
                f"`{column}` {TYPES.get(kind, kind.lower())}"
                for column, kind, *_ in connection.execute(f"describe {table}").fetchall()
            )
            statements += [
                f"create schema if not exists {schema}",
                f"drop table if exists {table}",
                f"create table {table} ({declared}) using parquet location '{target}'",
            ]
    spark.execute(*statements)


def write_events(connection: duckdb.DuckDBPyConnection, target: Path) -> None:
    """Write one file per load, with the events of its landing files."""
    loads = connection.execute(
        "select _dlt_load_id, sum(events)::bigint from raw_pixel.landing_files group by all order by all"
    ).fetchall()
    files = {target / f"{load}.parquet": (load, events) for load, events in loads}
    for left_over in set(target.iterdir()) - files.keys():
        left_over.unlink()
    for file, (load, events) in files.items():
        if not file.exists() or _rows_of(connection, file) != events:
            landing_files = f"select landing_file from raw_pixel.landing_files where _dlt_load_id = '{load}'"
            _write(connection, f"from raw_pixel.events where landing_file in ({landing_files})", file)


def _rows_of(connection: duckdb.DuckDBPyConnection, file: Path) -> int:
    [(rows,)] = connection.execute(f"select count(*) from read_parquet('{file}')").fetchall()
    return rows


def _write(connection: duckdb.DuckDBPyConnection, query: str, file: Path) -> None:
    unfinished = file.with_name(f".{file.name}")  # hidden from Spark
    connection.execute(f"copy ({query}) to '{unfinished}' (format parquet)")
    unfinished.replace(file)


def drop_built_tables(spark: Spark, schemas: Collection[str]) -> None:
    """Drop all tables and views of dbt's schemas, with their files: Iceberg keeps erased rows in older snapshots."""
    for schema in sorted({schema for (schema,) in spark.query("show schemas")} & set(schemas)):
        views = {name for _, name, *_ in spark.query(f"show views in {schema}")}
        tables = {name for _, name, *_ in spark.query(f"show tables in {schema}")} - views
        spark.execute(*[f"drop view {schema}.{name}" for name in sorted(views)])
        spark.execute(*[f"drop table {schema}.{name} purge" for name in sorted(tables)])


def fetch_built_tables(spark: Spark, warehouse: Path, folder: Path, built: Collection[str]) -> None:
    """Replace the rows of these tables (schema.name) and of the ledger with Spark's, in one transaction."""
    exported = folder / "built"
    shutil.rmtree(exported, ignore_errors=True)
    with connect(warehouse) as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute("set preserve_insertion_order = false")
        tables = sorted({*built, LEDGER})
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda table: spark.export(table, exported / table), tables))
        connection.begin()
        connection.execute(f"create table if not exists {LEDGER} (landing_file text, load_id text, fingerprint text)")
        for table in tables:
            connection.execute(f"delete from {table}")
            connection.execute(f"insert into {table} by name from read_parquet('{exported / table}/*.parquet')")
        connection.commit()
    shutil.rmtree(exported)
