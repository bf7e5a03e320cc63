"""Builds the warehouse on Spark: what `pixelnova-dbt build` does where PIXELNOVA_ENGINE is spark.

Reads and writes data/warehouse.duckdb. Sends the raw tables to the cluster, where dbt builds the models; fetches the
built tables, and runs dbt's data tests on them here. Everything before and after the build is the same on both engines.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

from ingestion.data_folder import warehouse_file
from orchestration.dbt_manifest import MANIFEST, prepare_dbt
from orchestration.settings import DUCKDB, ENGINE_VARIABLE, SPARK, data_folder
from orchestration.spark_exchange import (
    Spark,
    drop_built_tables,
    exchange_folder,
    fetch_built_tables,
    send_raw_tables,
)

SCRATCH = "scratch"  # what macros/spark_materializations.sql keeps between two statements
NO_TESTS = ("--exclude-resource-type", "test")


def build(arguments: Sequence[str]) -> int:
    """Run `dbt build` with these arguments on Spark, and the data tests on the fetched tables; returns dbt's exit code.

    Raises:
        SparkUnreachable: the cluster does not answer.
    """
    spark, warehouse, folder = Spark.of_environment(), warehouse_file(data_folder()), exchange_folder(data_folder())
    nodes, full = json.loads((prepare_dbt() / MANIFEST).read_bytes())["nodes"].values(), "--full-refresh" in arguments
    send_raw_tables(spark, warehouse, folder, everything=full)
    if full:
        drop_built_tables(spark, {SCRATCH, *(node["schema"] for node in nodes)})
    code = _dbt(*arguments, *NO_TESTS, "--target", SPARK)
    if code == 0 and full:
        code = _create_tables()
    if code == 0:
        models = [
            node for node in nodes if node["resource_type"] == "model" and node["config"]["materialized"] != "view"
        ]
        kept = [model for model in models if not model["name"].endswith("_this_run")]  # the others are build inputs
        fetch_built_tables(spark, warehouse, folder, [f"{model['schema']}.{model['name']}" for model in kept])
        code = _dbt("test", "--exclude-resource-type", "unit_test", "--exclude", "tag:thorough")
    return code


def _create_tables() -> int:
    """Create the views and empty tables in DuckDB, with types and comments, as dbt does there."""
    silently = {"DBT_LOG_FORMAT": "text"}  # Dagster reads events in JSON, and must not see these models twice
    tables = ("build", "--quiet", "--empty", "--full-refresh", "--exclude-resource-type", "unit_test", *NO_TESTS)
    views = ("run", "--quiet", "--select", "config.materialized:view")  # with --empty, they would select no rows
    return _dbt(*tables, environment=silently) or _dbt(*views, environment=silently)


def _dbt(*arguments: str, environment: Mapping[str, str] | None = None) -> int:
    """Run dbt in its own process, because each engine has its own adapter. It inherits the warehouse lock."""
    environment = {**os.environ, ENGINE_VARIABLE: DUCKDB, **(environment or {})}
    command = [sys.executable, "-m", "orchestration.parsed_dbt", *arguments]
    return subprocess.run(command, env=environment, close_fds=False).returncode
