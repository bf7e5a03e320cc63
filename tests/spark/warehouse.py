"""The warehouse on Spark: DuckDB's raw tables as Parquet files, dbt's builds, and a comparison with DuckDB's tables."""

import json
import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from orchestration.spark_exchange import Spark, send_raw_tables
from tests.spark.cluster import Cluster
from tests.warehouse import DBT_PROJECT, Warehouse

# Schemas without models, and tables that the Python steps after dbt write.
NOT_MODELS = ("main", "scratch", "raw_%")
WRITTEN_BY_PYTHON = ("recommendations.personal", "recommendations.evaluation_history", "experiments.results")
WRITTEN_BY_PYTHON += ("experiments.sample_ratios", "experiments.verdicts")


@dataclass
class Differences:
    """What a comparison of the models' tables found: the rows of each, and how many are in only one of the engines."""

    rows: dict[str, int] = field(default_factory=dict)
    different: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def empty(self) -> list[str]:
        """Tables without rows, for which equality proves nothing."""
        return sorted(name for name, rows in self.rows.items() if not rows and name not in self.different)

    def summary(self) -> dict[str, Any]:
        """The numbers, for the record."""
        return {
            "models": len(self.rows),
            "rows": sum(self.rows.values()),
            "equal": len(self.rows) - len(self.different),
            "different": self.different,
            "empty": self.empty,
        }


class SparkWarehouse:
    """The tables of a cluster. `copy_raw_tables` and `build` are the two halves of a refresh."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        """folder: for Parquet files and dbt's files."""
        self.cluster, self.folder = cluster, folder
        self.server = Spark("127.0.0.1", cluster.port, "tests")

    def copy_raw_tables(self, warehouse: Warehouse) -> None:
        """Copy DuckDB's raw tables to Spark, in place of earlier copies."""
        send_raw_tables(self.server, warehouse.file, self.folder, everything=True)

    def build(self, *arguments: str, stop_after: int | None = None) -> str:
        """Run dbt's seeds and models; returns its output.

        Args:
            stop_after: kill dbt, with its connections, when this many models are built.

        Raises:
            AssertionError: a model failed, or fewer than `stop_after` models were built.
        """
        target = self.folder / "target"
        folders = ["--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT), "--target-path", str(target)]
        command = [sys.executable, "-c", "from dbt.cli.main import cli; cli()", "build", "--target", "spark", *folders]
        command += ["--log-path", str(self.folder / "logs"), "--no-use-colors", "--exclude-resource-type", "unit_test"]
        environment = {**os.environ, **self.cluster.environment(), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
        process = subprocess.Popen(
            [*command, "test", *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        lines, built = [], 0
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            built += " OK created " in line
            if built == stop_after:
                os.killpg(process.pid, signal.SIGKILL)
                break
        process.stdout.close()
        code = process.wait()
        output = "".join(lines)
        expected = 0 if stop_after is None else -signal.SIGKILL
        assert code == expected, re.sub(r"(?m)^\s+at .*\n", "", output)[-6000:]
        return output

    def rows_of(self, table: str) -> str:
        """The rows of a table or view as a relation for DuckDB, exported as Parquet files."""
        folder = self.folder / "exported" / table
        self.server.export(table, folder)
        return f"read_parquet('{folder}/*.parquet')"

    def snapshots(self, table: str, after: int | None = None) -> list[tuple[int, str, dict[str, str]]]:
        """The history of an Iceberg table, after a snapshot: id, operation and what it added or deleted."""
        since = f"where committed_at > (select committed_at from {table}.snapshots where snapshot_id = {after})"
        rows = self.server.query(
            "select snapshot_id, operation, to_json(summary) "
            f"from {table}.snapshots {since if after else ''} order by committed_at"
        )
        return [(number, operation, json.loads(summary)) for number, operation, summary in rows]


def models_of(warehouse: Warehouse, with_views: bool = True) -> list[str]:
    """The tables, and views, that dbt builds, by schema and name."""
    hidden = " and ".join(f"table_schema not like '{schema}'" for schema in NOT_MODELS)
    kinds = "" if with_views else "and table_type <> 'VIEW'"
    rows = warehouse.query(
        f"select table_schema || '.' || table_name from information_schema.tables where {hidden} {kinds} order by 1"
    )
    return [name for (name,) in rows if name not in WRITTEN_BY_PYTHON]


def compare(spark: SparkWarehouse, warehouse: Warehouse, with_views: bool = True) -> Differences:
    """Compare every table that dbt builds, row for row."""
    found = Differences()
    names = models_of(warehouse, with_views)
    with ThreadPoolExecutor(2) as pool, duckdb.connect(str(warehouse.file), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        for name, exported in zip(names, pool.map(spark.rows_of, names), strict=True):
            columns = ", ".join(f'"{column}"' for column, *_ in connection.execute(f"describe {name}").fetchall())
            one, other = f"select {columns} from {name}", f"select {columns} from {exported}"
            counted = connection.execute(
                f"select (select count(*) from {name}), (select count(*) from ({one} except all {other})), "
                f"(select count(*) from ({other} except all {one}))"
            ).fetchone()
            assert counted is not None
            found.rows[name] = counted[0]
            if counted[1] or counted[2]:
                found.different[name] = max(counted[1:])
                only = f"select 'duckdb', * from ({one} except all {other} limit 2)"
                only += f" union all select 'spark', * from ({other} except all {one} limit 2)"
                found.examples[name] = connection.execute(only).fetchall()
    return found
