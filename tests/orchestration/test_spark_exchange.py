"""What is sent to Spark, tested without Spark; tests/spark has the rest."""

import duckdb
import pytest

from ingestion.data_folder import warehouse_file
from orchestration.build_state import fingerprint
from orchestration.settings import ENGINE_VARIABLE, SettingError, engine
from orchestration.spark_exchange import Spark, SparkUnreachable, write_events
from tests.conftest import PROJECT
from tests.landing_files import land, line
from tests.warehouse import Warehouse


@pytest.fixture
def warehouse(tmp_path):
    return Warehouse(tmp_path / "data", PROJECT / "shops.toml")


def load(warehouse: Warehouse, *ids: str) -> None:
    land(warehouse.landing, [line({"id": name, "name": "page_viewed"}, request_id=name) for name in ids])
    warehouse.load()


def test_events_are_written_once_per_load_and_again_when_rows_are_gone(warehouse, tmp_path):
    target = tmp_path / "events"
    target.mkdir()

    def written() -> dict[str, int]:
        """Write, then return the inode of each file, which changes when a file is written again."""
        with duckdb.connect(str(warehouse.file)) as connection:
            write_events(connection, target)
        return {file.name: file.stat().st_ino for file in target.iterdir()}

    def sent() -> list[str]:
        return [
            row[0] for row in duckdb.sql(f"select event ->> '$.id' from '{target}/*.parquet' order by 1").fetchall()
        ]

    load(warehouse, "a", "b")
    first = written()
    load(warehouse, "c")
    second = written()
    assert sent() == ["a", "b", "c"]
    assert (len(first), len(second)) == (1, 2)
    assert first.items() <= second.items()
    with duckdb.connect(str(warehouse.file)) as connection:  # as ingestion/quarantine.py puts an event aside
        connection.execute("delete from raw_pixel.events where event ->> '$.id' = 'a'")
        connection.execute("update raw_pixel.landing_files set events = 1 where events = 2")
    third = written()
    assert sent() == ["b", "c"]
    assert len(third.items() & second.items()) == 1
    with duckdb.connect(str(warehouse.file)) as connection:  # as for a landing file that is loaded again
        connection.execute("delete from raw_pixel.landing_files where events = 1")
        connection.execute("delete from raw_pixel.events")
    assert written() == {}


def test_another_engine_rebuilds_everything(warehouse, monkeypatch):
    on_duckdb = fingerprint(warehouse_file(warehouse.data))
    monkeypatch.setenv(ENGINE_VARIABLE, "spark")
    assert fingerprint(warehouse_file(warehouse.data)) != on_duckdb


def test_an_unknown_engine_is_refused(monkeypatch):
    monkeypatch.setenv(ENGINE_VARIABLE, "flink")
    with pytest.raises(SettingError, match="use duckdb or spark"):
        engine()


def test_spark_that_does_not_answer_is_named_with_the_remedy():
    with pytest.raises(SparkUnreachable, match=r"127\.0\.0\.1:1|pixelnova\[spark\]"):
        Spark("127.0.0.1", 1, "tests").execute()
