"""The comparison of two builds counts whatever differs."""

import shutil
from pathlib import Path

import duckdb
import pytest

from ingestion.data_folder import warehouse_file
from tests.equal_marts import diff
from tests.serving.published_version import write_version


@pytest.fixture
def builds(tmp_path) -> tuple[Path, Path]:
    """Two equal builds of one data set."""
    data = tmp_path / "one" / "demo"
    write_version(data)
    change(data, "create schema core; create table core.orders as select 7 as order_id")
    shutil.copytree(tmp_path / "one", tmp_path / "other", symlinks=True)
    return tmp_path / "one", tmp_path / "other"


def change(data: Path, sql: str) -> None:
    with duckdb.connect(str(warehouse_file(data))) as connection:
        connection.execute(sql)


def test_equal_builds_do_not_differ(builds):
    assert diff(*builds) == 0


@pytest.mark.parametrize(
    "sql",
    [
        "insert into core.orders values (8)",
        "alter table core.orders add column note text",
        "drop table core.orders",
        "create table core.carts as select 1 as cart_id",
    ],
)
def test_a_mart_with_other_rows_or_columns_or_in_one_build_only_differs(builds, sql, capsys):
    one, other = builds
    change(other / "demo", sql)
    assert diff(one, other) == diff(other, one) == 1
    assert "demo: core." in capsys.readouterr().out


def test_a_data_set_in_one_build_only_differs(builds):
    one, other = builds
    (other / "demo").rename(other / "retail")
    assert diff(one, other) == 2


def test_a_published_file_that_differs_is_counted(builds):
    one, other = builds
    (other / "demo" / "published" / "current").resolve().joinpath("new.json").write_text("{}")
    assert diff(one, other) == 1
