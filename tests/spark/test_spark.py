"""The models on a cluster of two workers equal DuckDB's, row for row: a full build, increments, a kill and an erasure.

`make test-spark` runs this and writes what it found to docs/spark-comparison.json.
"""

import json
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from ingestion.landing import sealed_files
from ingestion.privacy.erase import erase_pending, suppress
from ingestion.privacy.identifiers import CUSTOMER, Identifier
from ingestion.privacy.requests import ERASE, new_request, read_requests
from ingestion.shops import load_shops
from ingestion.sources.privacy import privacy_source
from ingestion.warehouse import open_pipeline
from orchestration.build_state import mark_for_rebuild
from tests.landing_files import land
from tests.spark import crafted_events
from tests.spark.cluster import Cluster
from tests.spark.store import RULES, Stores, make_stores
from tests.spark.warehouse import SparkWarehouse, compare
from tests.warehouse import DBT_PROJECT, STORED, Warehouse

RECORD = DBT_PROJECT.parent / "docs" / "spark-comparison.json"
HISTORIES = [f"intermediate.{name}" for name in STORED] + ["core.identity_map", "analytics.daily_shop"]
# Models that each attempt of a run has built when it is killed: some tables are from this run, some from the previous.
KILLED_AFTER = (5, 20, 35, 50, 65, 80, 95, 110, 125, 140)

pytestmark = pytest.mark.spark
log = logging.getLogger(__name__)


@pytest.fixture(scope="module")
def engines(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> tuple[Stores, Warehouse, SparkWarehouse]:
    """The stores, loaded but not built, on both engines."""
    folder = tmp_path_factory.mktemp("spark")
    stores = make_stores(folder / "stores")
    return stores, stores.warehouse(folder / "duckdb"), SparkWarehouse(cluster, folder / "spark")


@pytest.fixture(scope="module")
def record() -> Iterator[dict[str, Any]]:
    """What was compared; written at the end, even if a test failed."""
    found: dict[str, Any] = {"builds": {}}
    yield found
    RECORD.write_text(json.dumps(found, indent=2) + "\n")


def built_equally(
    name: str,
    warehouse: Warehouse,
    spark: SparkWarehouse,
    record: dict[str, Any],
    killed_after: Sequence[int] = (),
    is_same_run: bool = True,
) -> None:
    """Build on both engines, and compare.

    Args:
        killed_after: kill Spark's first attempts after this many models each.
        is_same_run: False if Spark's run computes other rows for the same result: after a kill, or in a full build
            instead of an increment. Then the working tables of the run need not be equal.
    """
    warehouse.build(*RULES)
    spark.copy_raw_tables(warehouse)
    before = {} if not record["builds"] else {table: spark.snapshots(table)[-1][0] for table in HISTORIES}
    for models in killed_after:
        spark.build(*RULES, stop_after=models)
    spark.build(*RULES)
    found = compare(spark, warehouse)
    written = {table: _written(spark, table, snapshot) for table, snapshot in before.items()}
    record["builds"][name] = {**found.summary(), "written": written}
    log.info("%s: %s", name, found.summary())
    different = {table for table in found.different if is_same_run or not table.endswith("_this_run")}
    assert not different, found.examples


def _written(spark: SparkWarehouse, table: str, after: int) -> dict[str, int]:
    """The rows that the snapshots since then added and deleted, and those in the table."""
    snapshots = spark.snapshots(table, after)
    total = spark.server.query(f"select count(*) from {table}")[0][0]

    def summed(key: str) -> int:
        return sum(int(summary.get(key, 0)) for _, _, summary in snapshots)

    return {
        "snapshots": len(snapshots),
        "added": summed("added-records"),
        "deleted": summed("added-position-deletes") + summed("deleted-records"),
        "rows": total,
    }


def test_a_full_build_equals_duckdb(engines, record):
    _, warehouse, spark = engines
    built_equally("full", warehouse, spark, record)
    # Otherwise equality proves nothing. Work sets are emptied; some tables describe increments or requests.
    empty = set(record["builds"]["full"]["empty"])
    assert {name for name in empty if not name.endswith("_this_run")} <= {
        *("operations.erasures", "operations.privacy_requests", "staging.stg_privacy__requests"),
        "staging.stg_shopify__product_deletions",
    }


def test_an_increment_equals_duckdb_and_rewrites_no_history(engines, record):
    stores, warehouse, spark = engines
    land(warehouse.landing, stores.increments[0])
    warehouse.load()
    built_equally("increment 1", warehouse, spark, record)
    events = record["builds"]["increment 1"]["written"]["intermediate.int_events"]
    assert 0 < events["added"] < events["rows"] / 2
    assert 0 < events["deleted"] < events["rows"] / 2


def test_an_increment_that_was_killed_ten_times_is_completed_by_the_next_run(engines, record):
    stores, warehouse, spark = engines
    land(warehouse.landing, stores.increments[1])
    warehouse.load()
    built_equally("increment 2", warehouse, spark, record, killed_after=KILLED_AFTER, is_same_run=False)


def test_an_erasure_equals_duckdb(engines, record):
    """An erasure takes rows out of the raw tables; then Spark's build is a full one, and DuckDB's an increment."""
    stores, warehouse, spark = engines
    shops = load_shops(stores.shops)
    new_request(warehouse.data, crafted_events.SHOP, ERASE, [Identifier(CUSTOMER, "900")])
    assert erase_pending(warehouse.data, shops, mark_for_rebuild) == 1
    land(warehouse.landing, stores.increments[2])
    suppress(warehouse.data, sealed_files(warehouse.landing), shops)
    warehouse.load()
    open_pipeline("privacy", warehouse.data).run(privacy_source(read_requests(warehouse.data)))
    spark.server.execute("drop table intermediate.int_landing_files_processed")
    built_equally("erasure", warehouse, spark, record, is_same_run=False)
    assert spark.server.query("select count(*) from core.orders where customer_id = '900'") == [(0,)]
