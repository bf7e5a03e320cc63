"""`pixelnova refresh` publishes the same on Spark as on DuckDB: at first, then, and after an erasure."""

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestration.settings import ENGINE_VARIABLE, SHOPS_VARIABLE, SPARK
from orchestration.spark_exchange import Spark
from serving.published import read_current
from tests.comparison import differing_files, differing_tables
from tests.landing_files import land
from tests.spark import crafted_events
from tests.spark.cluster import Cluster
from tests.spark.store import make_stores

OF_RUNS = {"operations.loads", "operations.fetches", "recommendations.evaluation_history"}
HOUR = 3600

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    return make_stores(tmp_path_factory.mktemp("stores"), days=2)


@pytest.fixture(scope="module")
def on_both(cluster: Cluster, stores, pixelnova, tmp_path_factory) -> Callable[..., dict[str, Path]]:
    """Runs a command on a data folder of each engine; returns the folders."""
    folders = {engine: tmp_path_factory.mktemp(engine) for engine in ("duckdb", SPARK)}

    def run(*arguments: str, lines: list[bytes] | None = None) -> dict[str, Path]:
        for engine, data in folders.items():
            environment = {SHOPS_VARIABLE: str(stores.shops), ENGINE_VARIABLE: engine, **cluster.environment()}
            if lines:
                land(data / "landing", lines)
            pixelnova(*arguments, data=data, env=environment, timeout=HOUR)
        return folders

    return run


def differences(folders: dict[str, Path]) -> tuple[set[str], list[str]]:
    """The published tables and files that differ, except what is about the runs."""
    duckdb, spark = (read_current(data) for data in folders.values())
    assert sum(duckdb.manifest.rows_by_table.values()) > 5_000
    return differing_tables(duckdb, spark).keys() - OF_RUNS, list(differing_files(*folders.values()))


def test_a_first_refresh(on_both, stores):
    assert differences(on_both("refresh", lines=stores.first)) == (set(), [])


def test_an_increment(on_both, stores):
    assert differences(on_both("refresh", lines=stores.increments[0])) == (set(), [])


def test_an_erasure_leaves_no_older_snapshot(on_both, cluster):
    on_both("privacy", "erase", "--shop", crafted_events.SHOP, "--customer", "900")
    folders = on_both("refresh")
    assert differences(folders) == (set(), [])
    with read_current(folders[SPARK]).connect() as marts:
        assert marts.execute("select count(*) from core.orders where customer_id = '900'").fetchall() == [(0,)]
    server = Spark("127.0.0.1", cluster.port, "tests")
    assert server.query("select count(*) from core.identity_map.snapshots") == [(1,)]


def test_without_a_cluster_a_refresh_names_the_remedy(pixelnova, stores, tmp_path):
    land(tmp_path / "landing", stores.first[:10])
    environment = {SHOPS_VARIABLE: str(stores.shops), ENGINE_VARIABLE: SPARK, "PIXELNOVA_SPARK_PORT": "1"}
    done = pixelnova("refresh", data=tmp_path, env=environment, check=False)
    assert done.returncode == 1
    assert "127.0.0.1:1" in done.stderr + done.stdout and "make spark-up" in done.stderr + done.stdout
