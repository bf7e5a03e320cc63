"""Failures on Spark: a lack of memory or a killed server blames no shop; a shop that cannot be built is put aside."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from ingestion.quarantine import shops_put_aside
from orchestration.fence import RESULTS, Failure, failures_of, put_aside_what_fails
from tests.conftest import PROJECT
from tests.spark.cluster import Cluster
from tests.spark.warehouse import SparkWarehouse
from tests.warehouse import DBT_PROJECT, Warehouse

SPARK_SETTINGS = {"spark.executor.memory": "512m"}
SHOP = """
[[shops]]
domain = "{0}.myshopify.com"
name = "{0}"
timezone = "UTC"
currency = "EUR"
ingest_keys = ["key-of-{0}"]
"""
TOO_LARGE = "select size(collect_list(repeat(id, 2000))) as one from range(0, 3000000, 1, 2)"
ENDLESS = "select count(*) as one from range(1000000) as a cross join range(1000000) as b where a.id % 7 = b.id % 11"
FAILING = "select cast(raise_error(concat('{}', id)) as int) as one from range(5)"
BAD_SHOP = (
    "select shop, case when shop like 'bad.%' then cast(raise_error('no such shop') as int) end as one "
    "from {{ ref('stg_shops__shops') }}"
)

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory) -> Warehouse:
    """A warehouse of three shops without events."""
    folder = tmp_path_factory.mktemp("three_shops")
    shops = folder / "shops.toml"
    shops.write_text("".join(SHOP.format(name) for name in ("good", "bad", "other")))
    return Warehouse(folder / "data", shops)


@pytest.fixture(scope="module")
def build(cluster: Cluster, warehouse, tmp_path_factory) -> Callable[[str], list[Failure]]:
    """Builds a model with this SQL, and its inputs, on Spark; returns what failed."""
    folder = tmp_path_factory.mktemp("spark")
    project, spark = folder / "dbt_project", SparkWarehouse(cluster, folder)
    shutil.copytree(DBT_PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
    environment = {**os.environ, **cluster.environment(), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}

    def run(sql: str) -> list[Failure]:
        spark.copy_raw_tables(warehouse)
        (project / "models" / "probe.sql").write_text("{{ config(materialized='table') }} " + sql)
        command = [sys.executable, "-c", "from dbt.cli.main import cli; cli()", "run", "--target", "spark"]
        folders = ["--project-dir", str(project), "--profiles-dir", str(project)]
        done = subprocess.run([*command, "--select", "+probe", *folders], env=environment, cwd=PROJECT, timeout=300)
        return failures_of(project / "target" / RESULTS) if done.returncode else []

    return run


def test_a_lack_of_memory_blames_no_shop(build):
    [failure] = build(TOO_LARGE)
    assert failure.name == "probe"
    assert failure.is_of_machine, failure.message


@pytest.mark.parametrize("text", ["java.lang.OutOfMemoryError", "\\nTSocket read 0 bytes", "\\nExecutorLostFailure "])
def test_an_event_cannot_pose_as_a_lack_of_memory(build, text):
    [failure] = build(FAILING.format(text))
    assert text.removeprefix("\\n") in failure.message
    assert not failure.is_of_machine, failure.message


def test_a_shop_that_cannot_be_built_is_put_aside(build, warehouse):
    failed = build(BAD_SHOP)
    assert [failure.name for failure in failed] == ["probe"]
    assert put_aside_what_fails(warehouse.file, failed, lambda: build(BAD_SHOP)) == []
    assert shops_put_aside(warehouse.file).keys() == {"bad.myshopify.com"}


def test_a_killed_server_blames_no_shop(build, cluster: Cluster):
    """The last test: nothing answers afterwards."""
    killed = threading.Timer(30, os.killpg, (cluster.pids[-1], signal.SIGKILL))
    killed.start()
    failed = build(ENDLESS)
    assert killed.finished.is_set()
    assert any(failure.is_of_machine for failure in failed), failed
