"""`pixelnova refresh` publishes the same on Spark as on DuckDB: first, after an increment, and after an erasure."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestration.settings import ENGINE_VARIABLE, ENGINES, SHOPS_VARIABLE, SPARK
from orchestration.spark_exchange import LEDGER, Spark
from serving.published import read_current
from serving.runs import RUNS_FILE
from tests.comparison import differing_files, differing_tables
from tests.landing_files import land
from tests.spark import crafted_events
from tests.spark.cluster import Cluster
from tests.spark.store import make_stores
from tests.spark.warehouse import models_of
from tests.warehouse import Warehouse, differences

OF_RUNS = {"operations.loads", "staging.stg_pixel__landing_files", LEDGER, RUNS_FILE}
OF_RUNS |= {"operations.privacy_requests", "staging.stg_privacy__requests"}  # when they were fulfilled
HOUR = 3600

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    return make_stores(tmp_path_factory.mktemp("stores"), days=2)


@pytest.fixture(scope="module")
def on_both(cluster: Cluster, stores, pixelnova, tmp_path_factory) -> Callable[..., dict[str, Path]]:
    """Runs a command on a data folder of each engine, with the same landing file; returns the folders."""
    folders = {engine: tmp_path_factory.mktemp(engine) for engine in ENGINES}
    landed = tmp_path_factory.mktemp("landed")

    def run(*arguments: str, lines: list[bytes] | None = None) -> dict[str, Path]:
        file = land(landed, lines) if lines else None
        for engine, data in folders.items():
            environment = {SHOPS_VARIABLE: str(stores.shops), ENGINE_VARIABLE: engine, **cluster.environment()}
            if file:
                (data / "landing").mkdir(exist_ok=True)
                shutil.copy(file, data / "landing")
            pixelnova(*arguments, data=data, env=environment, timeout=HOUR)
        return folders

    return run


def differing(folders: dict[str, Path], shops: Path) -> set[str]:
    """The tables of the warehouses, and the published tables and files, that differ, except what is about the runs."""
    published = [read_current(data) for data in folders.values()]
    assert sum(published[0].manifest.rows_by_table.values()) > 5_000
    duckdb, spark = (Warehouse(data, shops, load=False) for data in folders.values())
    built = [name for name in models_of(duckdb) if not name.endswith("_this_run")]
    found = set(differences(duckdb, spark, built))
    found |= differing_tables(*published).keys() | set(differing_files(*folders.values()))
    return found - OF_RUNS


def test_a_first_refresh(on_both, stores):
    assert differing(on_both("refresh", lines=stores.first), stores.shops) == set()


def test_an_increment(on_both, stores):
    assert differing(on_both("refresh", lines=stores.increments[0]), stores.shops) == set()


def test_an_erasure_leaves_no_older_snapshot_and_duckdb_rebuilds_the_same(
    on_both, cluster, stores, pixelnova, tmp_path
):
    """Compared with the same data folder after a change of engine: orders that remain get random ids in an erasure."""
    erased = on_both("privacy", "erase", "--shop", crafted_events.SHOP, "--customer", "900")[SPARK]
    with read_current(erased).connect() as marts:
        assert marts.execute("select count(*) from core.orders where customer_id = '900'").fetchall() == [(0,)]
    server = Spark("127.0.0.1", cluster.port, "tests")
    assert server.query("select count(*) from core.identity_map.snapshots") == [(1,)]
    rebuilt = shutil.copytree(erased, tmp_path / "rebuilt", symlinks=True)
    pixelnova("refresh", data=rebuilt, env={SHOPS_VARIABLE: str(stores.shops)})
    assert differing({"duckdb": rebuilt, SPARK: erased}, stores.shops) == set()


def test_without_a_cluster_a_refresh_names_the_remedy(pixelnova, stores, tmp_path):
    land(tmp_path / "landing", stores.first[:10])
    environment = {SHOPS_VARIABLE: str(stores.shops), ENGINE_VARIABLE: SPARK, "PIXELNOVA_SPARK_PORT": "1"}
    done = pixelnova("refresh", data=tmp_path, env=environment, check=False)
    assert done.returncode == 1
    assert "127.0.0.1:1" in done.stderr + done.stdout and "make spark-up" in done.stderr + done.stdout


def test_doctor_names_the_version_of_the_cluster(pixelnova, cluster, tmp_path):
    environment = {ENGINE_VARIABLE: SPARK, **cluster.environment()}
    report = pixelnova("doctor", data=tmp_path, env=environment).stdout
    assert f"Spark 3.5.9 at 127.0.0.1:{cluster.port}" in report
