"""Events and shops that cannot be built are put aside with the reason, and the rest is built; wrong SQL still fails."""

import shutil
from pathlib import Path

import duckdb
import pytest

from ingestion.data_folder import warehouse_file
from ingestion.quarantine import put_aside_shops, shops_put_aside
from orchestration.fence import Failure, failures_of, put_aside_what_fails
from tests.landing_files import land_events
from tests.stores.events import checkout, event, viewed
from tests.warehouse import DBT_PROJECT, Warehouse

SHOPS = ("good", "bad", "other")


class BrokenWarehouse(Warehouse):
    """A warehouse of three shops, built by a copy of the project in which one rule is broken."""

    with_tests = True

    def __init__(self, folder: Path) -> None:
        shops = folder / "shops.toml"
        folder.mkdir(exist_ok=True)
        shops.write_text(
            "".join(
                f'[[shops]]\ndomain = "{name}.myshopify.com"\nname = "{name}"\ntimezone = "UTC"\ncurrency = "EUR"\n'
                f'ingest_keys = ["key-of-{name}"]\n'
                for name in SHOPS
            )
        )
        super().__init__(folder / "data", shops)
        self.project = folder / "dbt_project"
        shutil.copytree(DBT_PROJECT, self.project, ignore=shutil.ignore_patterns("target", "logs"))
        for name in SHOPS:
            events = [
                event("product_viewed", "c", data=viewed("1")),
                event("product_viewed", "c", 1, data=viewed("poison" if name == "bad" else "2")),
                event("checkout_completed", "c", 2, data=checkout("t", 1)),
            ]
            land_events(self.landing, f"{name}.myshopify.com", events)
        self.load()

    def break_rule(self, model: str, right: str, broken: str) -> None:
        [path] = self.project.rglob(f"{model}.sql")
        text = path.read_text()
        assert right in text
        path.write_text(text.replace(right, broken, 1))

    def failures(self, *arguments: str):
        target = self.project / "target"
        done = self.try_build(
            "--full-refresh", *arguments, with_tests=self.with_tests, project=self.project, target=str(target)
        )
        done.result.write(str(target / "run_results.json"))
        return failures_of(target / "run_results.json") if not done.success else []

    def orders(self) -> list[str]:
        return [shop.split(".")[0] for (shop,) in self.query("select shop from core.orders order by shop")]


def test_an_event_that_cannot_be_built_is_quarantined_alone(tmp_path):
    warehouse = BrokenWarehouse(tmp_path)
    warehouse.with_tests = False  # a model fails
    warehouse.break_rule(
        "stg_pixel__events",
        "    nullif(vendor, '') as vendor,",
        "    case when product_title = 'Product poison' then cast(product_title as integer) end as poisoned,\n"
        "    nullif(vendor, '') as vendor,",
    )
    failed = warehouse.failures()
    assert [failure.name for failure in failed] == ["int_events_received_this_run"]
    assert put_aside_what_fails(warehouse.file, failed, warehouse.failures) == []
    assert warehouse.orders() == ["bad", "good", "other"]
    [(shop, reason)] = warehouse.query("select shop, reason from operations.quarantined_events")
    assert shop == "bad.myshopify.com"
    assert "cannot be built" in reason
    assert "Could not convert string" in reason
    assert warehouse.query("select sum(events), sum(unreadable_lines) from operations.loads") == [(8, 1)]


@pytest.mark.long
@pytest.mark.parametrize(
    ("model", "right", "broken"),
    [
        (  # a test's rows name the shop
            "daily_shop",
            "    coalesce(sold.orders, 0) as orders,",
            "    coalesce(sold.orders, 0) + case when days.shop like 'bad%' then 1 else 0 end as orders,",
        ),
        (  # nothing names the shop: trial builds find it
            "daily_sales",
            "    count(*) as orders,",
            "    count(*) + cast(coalesce(sum(case when shop like 'bad%' then cast(shop as bigint) end), 0) as bigint) "
            "as orders,",
        ),
    ],
)
def test_a_shop_that_cannot_be_built_is_put_aside_alone(tmp_path, model, right, broken):
    warehouse = BrokenWarehouse(tmp_path)
    warehouse.break_rule(model, right, broken)
    if model == "daily_shop":
        test = warehouse.project / "tests" / "daily_orders_are_the_orders.sql"
        test.write_text(
            "select days.shop from {{ ref('daily_shop') }} as days group by days.shop having sum(days.orders) <> 1"
        )
    failed = warehouse.failures()
    assert failed
    assert put_aside_what_fails(warehouse.file, failed, warehouse.failures) == []
    assert warehouse.orders() == ["good", "other"]
    [(shop, reason)] = warehouse.query("select shop, reason from operations.shops_put_aside")
    assert shop == "bad.myshopify.com"
    assert model in reason or "daily_orders_are_the_orders" in reason


@pytest.mark.long
def test_a_sql_error_puts_no_shop_aside(tmp_path):
    warehouse = BrokenWarehouse(tmp_path)
    warehouse.break_rule(
        "daily_sales", "    count(*) as orders,", "    count(*) + cast(sum(cast(shop as bigint)) as bigint) as orders,"
    )
    failed = warehouse.failures()
    assert [failure.name for failure in put_aside_what_fails(warehouse.file, failed, warehouse.failures)] == [
        "daily_sales"
    ]
    assert shops_put_aside(warehouse.file) == {}


HEADER = "Runtime Error in model daily_sales (models/marts/daily_sales.sql)\n  "
# How messages of a Spark cluster began (tests/spark/test_failures.py).
OF_SPARK = "Database Error\n    org.apache.hive.service.cli.HiveSQLException: Error running query: "
JOB_FAILED = f"{OF_SPARK}org.apache.spark.SparkException: Job aborted due to stage failure: "
TASK_FAILED = (
    f"{JOB_FAILED}Task 0 in stage 2.0 failed 4 times, most recent failure: Lost task 0.4 in stage 2.0 (TID 14) "
    "(127.0.0.1 executor 12): "
)
LACKS = (
    "Out of Memory Error: failed to allocate data of size 16.0 MiB (16.0 MiB/19.0 MiB used)\nPossible solutions:",
    'IO Error: Could not write file "warehouse.duckdb": No space left on device',
    "[Errno 28] No space left on device",
    f"{TASK_FAILED}java.lang.OutOfMemoryError: Java heap space\n\tat org.apache.spark.unsafe.types.UTF8String.copy",
    f"{TASK_FAILED}ExecutorLostFailure (executor 12 exited caused by one of the running tasks) Reason: Command exited",
    f"{JOB_FAILED}Total size of serialized results of 1 tasks (25.4 MiB) is bigger than spark.driver.maxResultSize",
    "Database Error\n    failed to connect: TTransportException: Could not connect to any of [('127.0.0.1', 43579)]",
    "TSocket read 0 bytes",
)


@pytest.fixture
def three_shops(tmp_path) -> Path:
    """A warehouse that has three shops and no events."""
    with duckdb.connect(str(warehouse_file(tmp_path))) as connection:
        connection.execute("create schema raw_shops")
        connection.execute("create table raw_shops.shops as select unnest(['a', 'b', 'c']) as domain")
        columns = "shop varchar, reason varchar, put_aside_at timestamptz, _dlt_load_id varchar, _dlt_id varchar"
        connection.execute(f"create table raw_shops.put_aside ({columns})")
    return warehouse_file(tmp_path)


def model_fails(message: str) -> list[Failure]:
    return [Failure("daily_sales", False, HEADER + message, "select 1 as orders")]


@pytest.mark.parametrize("message", LACKS)
def test_a_lack_of_memory_or_disk_starts_no_trial(three_shops, message):
    def build() -> list[Failure]:
        raise AssertionError("a trial was started")

    failed = model_fails(message)
    assert put_aside_what_fails(three_shops, failed, build) == failed
    assert shops_put_aside(three_shops) == {}


@pytest.mark.parametrize("lack", [*map(model_fails, LACKS), failures_of(Path("of-a-killed-process"))])
def test_a_trial_that_lacks_memory_or_is_killed_blames_no_shop(three_shops, lack):
    put_aside_shops(three_shops, {"c": "before"})
    failed = model_fails("Conversion Error: Could not convert string 'x' to INT32")
    trials = iter([lack, []])
    assert put_aside_what_fails(three_shops, failed, lambda: next(trials)) == lack
    assert shops_put_aside(three_shops) == {"c": "before"}


@pytest.mark.parametrize(
    "message",
    [
        "Conversion Error: Could not convert string 'x\nOut of Memory Error: No space left on device' to INT32",
        f"{TASK_FAILED}java.lang.RuntimeException: java.lang.OutOfMemoryError",
        f"{OF_SPARK}java.lang.NumberFormatException: ExecutorLostFailure",
    ],
)
def test_an_event_cannot_pose_as_a_lack_of_memory(three_shops, message):
    """Otherwise one such event would stop every refresh."""
    failed = model_fails(message)
    assert (
        put_aside_what_fails(three_shops, failed, lambda: [] if "b" in shops_put_aside(three_shops) else failed) == []
    )
    assert shops_put_aside(three_shops).keys() == {"b"}
