"""Safeguards of a run: the lock, waiting for readers, a complete manifest, disk-full messages."""

import errno
import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from ingestion.data_folder import warehouse_file
from ingestion.quarantine import put_aside_shops, shops_put_aside
from ingestion.shops import load_shops
from ingestion.sources.shops import shops_source
from ingestion.warehouse import open_pipeline
from ingestion.warehouse_connection import WarehouseInUse, connect
from orchestration import runner
from orchestration.dbt_manifest import prepare_dbt
from orchestration.disk_space import DiskFull, causes, disk_full
from orchestration.run_log import LAST_RUN, last_run
from orchestration.warehouse_lock import WarehouseBusy, inherited_by_children, is_held, warehouse_lock
from serving.duckdb_settings import connect as connect_to_serve
from tests.conftest import PROJECT

READ = "import duckdb, sys, time; c = duckdb.connect(sys.argv[1], read_only=True); print(1, flush=True); time.sleep({})"


@pytest.fixture
def data(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("PIXELNOVA_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def read(data):
    """Starts a process that keeps the warehouse open for a number of seconds."""
    duckdb.connect(str(warehouse_file(data))).close()
    readers = []

    def start(seconds: float) -> subprocess.Popen:
        command = [sys.executable, "-c", READ.format(seconds), str(warehouse_file(data))]
        reader = subprocess.Popen(command, stdout=subprocess.PIPE)
        readers.append(reader)
        assert reader.stdout.readline() == b"1\n"
        return reader

    yield start
    for reader in readers:
        reader.kill()
        reader.wait()
        reader.stdout.close()


def test_writers_wait_for_readers_to_close(data, read):
    for write in (lambda: connect(warehouse_file(data)), lambda: connect_to_serve(str(warehouse_file(data)))):
        reader = read(1.5)
        write().close()
        assert reader.wait(10) == 0


def test_shops_are_put_aside_once_readers_have_closed(data, read):
    reader = read(1.5)
    assert shops_put_aside(warehouse_file(data)) == {}
    assert reader.wait(10) == 0
    open_pipeline("shops", data).run(shops_source(load_shops(PROJECT / "shops.toml")))
    reader = read(1.5)
    put_aside_shops(warehouse_file(data), {"a": "its rows fail a test"})
    assert reader.wait(10) == 0
    assert shops_put_aside(warehouse_file(data)) == {"a": "its rows fail a test"}


def test_dlt_waits_for_readers_to_close(data, read):
    reader = read(3)
    open_pipeline("shops", data).run(shops_source(load_shops(PROJECT / "shops.toml")))
    assert reader.wait(10) == 0
    with connect(warehouse_file(data)) as connection:
        assert connection.execute("select count(*) from raw_shops.shops").fetchone() == (1,)


def test_reader_that_stays_open_is_named(data, read):
    reader = read(60)
    with pytest.raises(WarehouseInUse, match=rf"PID {reader.pid}\).*published/current/pixelnova.duckdb"):
        connect(warehouse_file(data), wait_seconds=0.5)


def test_second_run_is_refused_and_status_does_not_take_the_lock(data):
    assert not is_held(data)
    with warehouse_lock():
        assert is_held(data)
        with pytest.raises(WarehouseBusy), warehouse_lock():
            pass
    assert not is_held(data)


def test_child_that_inherits_the_lock_holds_it_after_its_parent_has_ended(data):
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    with warehouse_lock() as lock:
        with inherited_by_children(lock):
            writer = subprocess.Popen(sleep)
        helper = subprocess.Popen(sleep)
    try:
        assert is_held(data)
        writer.kill()
        writer.wait()
        assert not is_held(data)
        assert helper.poll() is None
    finally:
        for process in (writer, helper):
            process.kill()
            process.wait()


@pytest.fixture
def target(tmp_path) -> Path:
    """A copy of dbt's files, which are not written again while they are whole."""
    target = shutil.copytree(prepare_dbt(), tmp_path / "target")
    written = (target / "manifest.json").stat().st_mtime_ns
    prepare_dbt(target=target)
    assert (target / "manifest.json").stat().st_mtime_ns == written
    return target


def test_truncated_manifest_is_rewritten(target):
    manifest = target / "manifest.json"
    whole = manifest.read_bytes()
    manifest.write_bytes(whole[: len(whole) // 2])
    (target / "partial_parse.msgpack").write_bytes(b"\x81")
    (target / "tmpabandoned").mkdir()
    prepare_dbt(target=target)
    assert manifest.read_bytes().rstrip().endswith(b"}")
    assert abs(manifest.stat().st_size - len(whole)) < len(whole) // 100
    assert not list(target.glob("tmp*"))


@pytest.mark.long
def test_truncated_parsed_project_is_rewritten(target):
    """dbt reads it; the manifest is whole."""
    (target / "partial_parse.msgpack").write_bytes(b"\x81")
    prepare_dbt(target=target)
    assert len((target / "partial_parse.msgpack").read_bytes()) > 1000


def write_to_a_full_file():
    with Path("/dev/full").open("w") as file:
        file.write("x")


def fill_a_duckdb():
    duckdb.sql("copy (select range from range(100000)) to '/dev/full' (format csv)")


def fill_an_sqlite():
    with sqlite3.connect(":memory:") as connection:
        connection.execute("pragma max_page_count = 10")
        connection.execute("create table t as select 1 as x")
        connection.execute(
            "insert into t with recursive n(x) as (select 1 union all select x + 1 from n limit 99999) select x from n"
        )


@pytest.mark.parametrize("fill", [write_to_a_full_file, fill_a_duckdb, fill_an_sqlite])
def test_full_disk_is_recognised_in_nested_errors_of_any_library(tmp_path, fill):
    with pytest.raises(ValueError) as caught:
        try:
            fill()
        except Exception as error:
            raise ValueError("a step failed") from error
    message = str(disk_full(caught.value, tmp_path / "not" / "there"))
    assert str(tmp_path / "not" / "there") in message
    assert "Make room there" in message


def test_the_message_of_a_full_disk_is_kept(tmp_path):
    with pytest.raises(DiskFull) as caught:
        try:
            write_to_a_full_file()
        except OSError as error:
            raise DiskFull("The version was published.") from error
    assert disk_full(caught.value, tmp_path) is caught.value


def test_a_refresh_without_news_clears_the_failure_of_the_last_one(data, monkeypatch):
    monkeypatch.setattr(runner, "news", lambda *_: [])
    (data / LAST_RUN).write_text(json.dumps({"run": "r", "began_at": "2026-11-22T11:00:00+00:00", "error": "no table"}))
    with warehouse_lock():
        runner.refresh(lambda _: None, lambda _: None)
    assert last_run(data).error == "no table"  # another run will record its own end
    assert not runner.refresh(lambda _: None, lambda _: None).is_news
    assert last_run(data).error is None and last_run(data).ended_at is not None


def test_other_errors_are_not_a_full_disk(tmp_path):
    assert disk_full(OSError(errno.EACCES, "Permission denied"), tmp_path) is None
    assert disk_full(None, tmp_path) is None


def test_dagster_finds_dbt_and_itself_without_an_activated_environment(tmp_path):
    code = (
        "from orchestration.runner import prepare_dagster; prepare_dagster(); "
        "import os, shutil; print(shutil.which('dbt'), shutil.which('dagster'), os.environ['VIRTUAL_ENV'])"
    )
    environment = {"PATH": "/usr/bin:/bin", "PIXELNOVA_DATA": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, env=environment, capture_output=True, text=True)
    binaries = Path(sys.executable).parent
    assert done.stdout.split() == [str(binaries / "dbt"), str(binaries / "dagster"), str(binaries.parent)], done.stderr


def test_cyclic_causes_are_followed_once():
    """dlt raises such errors; an endless loop over them once hung a failed refresh."""
    outer, inner = RuntimeError("outer"), OSError("inner")
    outer.__cause__, inner.__context__ = inner, outer
    assert list(causes(outer)) == [outer, inner]
