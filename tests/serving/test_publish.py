import hashlib
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from serving import publish as publishing
from serving.manifest import Code, Data
from serving.publish import PublishError, publish
from serving.published import ANALYSTS_FILE, NothingPublished, published_folder, read_current
from serving.runs import Run, published_runs
from tests.serving.marts import make_warehouse

CODE = Code(version="1.2.3", commit="0" * 40, fingerprint="f" * 64)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder whose warehouse has marts of a few rows."""
    make_warehouse(tmp_path / "warehouse.duckdb")
    return tmp_path


def run(data: Path):
    return publish(data / "warehouse.duckdb", data, CODE)


def test_version_has_only_marts_with_descriptions(data):
    run(data)
    with read_current(data).connect() as connection:
        assert connection.execute("select sessions from analytics.funnel_daily").fetchall() == [(7,)]
        assert connection.execute("select count(*) from core.products").fetchall() == [(5,)]
        comments = connection.execute(
            "select comment from duckdb_columns() where table_name = 'funnel_daily' and schema_name <> 'main' "
            "and column_name = 'sessions'"
        ).fetchall()
        assert comments == [("All sessions.",)]
        schemas = connection.execute("select distinct schema_name from duckdb_tables() order by all").fetchall()
    assert schemas == [("analytics",), ("core",), ("operations",), ("recommendations",)]


@pytest.mark.parametrize("name", ["pixelnova", "a copy of november", "warehouse", "main"])
def test_published_database_works_under_any_file_name_and_alias(data, tmp_path, name):
    published = run(data)
    copy = shutil.copy(published.folder / ANALYSTS_FILE, tmp_path / f"{name}.duckdb")
    with duckdb.connect(str(copy), read_only=True) as connection:
        assert connection.execute("select sessions from analytics.funnel_daily").fetchall() == [(7,)]
        assert connection.execute("select sessions from funnel_daily").fetchall() == [(7,)]
        tables = [table for (table,) in connection.execute("show tables").fetchall()]
    assert tables == sorted(table.split(".")[1] for table in published.manifest.rows_by_table)
    with duckdb.connect() as connection:
        connection.execute(f"attach '{copy}' as shop (read_only)")
        assert connection.execute("select sessions from shop.analytics.funnel_daily").fetchall() == [(7,)]
        assert connection.execute("select sessions from shop.funnel_daily").fetchall() == [(7,)]


def test_runs_are_published_and_kept_by_a_publication_without_a_run(data):
    assert published_runs(run(data)) == []
    at = datetime(2026, 11, 22, 12, tzinfo=UTC)
    runs = [
        Run(job="refresh", status="started", started_at=at),
        Run(job="refresh", status="failure", started_at=at, ended_at=at, seconds=0.0, failed_step="pixel"),
    ]
    assert published_runs(publish(data / "warehouse.duckdb", data, runs=runs)) == runs
    again = run(data)
    assert published_runs(again) == runs
    (again.folder / "runs.json").unlink()  # as if older code had published it
    assert published_runs(again) == []


@pytest.mark.parametrize(
    ("file", "content"), [("manifest.json", None), ("manifest.json", '{"half": '), ("runs.json", '[{"half": ')]
)
def test_damaged_current_version_is_replaced(data, file, content):
    damaged = run(data).folder
    (damaged / file).unlink()
    if content:
        (damaged / file).write_text(content)
    again = run(data)
    assert read_current(data).folder == again.folder != damaged
    assert published_runs(again) == []


def test_manifest_matches_files(data):
    published = run(data)
    assert published.manifest.as_of == "2026-11-22T12:00:00+00:00"
    assert published.manifest.rows_by_table["analytics.funnel_daily"] == 1
    assert published.manifest.rows_by_table["core.products"] == 5
    assert published.manifest.model_version == "7"
    assert published.manifest.data == Data(newest_load="load-2", landing_files=3)
    assert published.manifest.code == CODE
    listed = {file.path: file for file in published.manifest.files}
    on_disk = {str(path.relative_to(published.folder)) for path in published.folder.rglob("*") if path.is_file()} - {
        "manifest.json"
    }
    assert set(listed) == on_disk
    for name, file in listed.items():
        content = (published.folder / name).read_bytes()
        assert (file.bytes, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())


def test_open_reader_keeps_its_version(data):
    first = run(data)
    with first.connect() as reader:
        with duckdb.connect(str(data / "warehouse.duckdb")) as connection:
            connection.execute("update analytics.funnel_daily set sessions = 8")
        second = run(data)
        assert reader.execute("select sessions from analytics.funnel_daily").fetchall() == [(7,)]
    assert read_current(data).folder == second.folder != first.folder
    with read_current(data).connect() as reader:
        assert reader.execute("select sessions from analytics.funnel_daily").fetchall() == [(8,)]


@pytest.mark.parametrize("dies_in", ["export", "_sync_tree", "switch"])
def test_killed_publication_keeps_current_and_is_cleaned_up(data, monkeypatch, dies_in):
    before = run(data)

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(publishing, dies_in, die)
        with pytest.raises(KeyboardInterrupt):
            run(data)
    assert read_current(data).folder == before.folder
    after = run(data)
    assert read_current(data).folder == after.folder
    assert not [path for path in published_folder(data).iterdir() if path.name.startswith(".")]


def test_publish_errors_name_the_remedy(tmp_path):
    with pytest.raises(PublishError, match="run `pixelnova refresh` first"):
        run(tmp_path)
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute("create table x (y int)")
    with pytest.raises(PublishError, match="has no marts"):
        run(tmp_path)
    (tmp_path / "published").rename(tmp_path / "elsewhere")
    (tmp_path / "published").write_text("a file where the folder should be")
    with pytest.raises(PublishError, match="cannot be published"):
        run(tmp_path)


def test_reading_before_first_publication_names_the_remedy(tmp_path):
    with pytest.raises(NothingPublished, match="run `pixelnova refresh`"):
        read_current(tmp_path)


def test_published_database_uses_old_storage_version(data):
    published = run(data)
    header = (published.folder / ANALYSTS_FILE).read_bytes()[:4096]
    assert b"DUCK" in header[:16]
    with published.connect() as connection:
        [(tags,)] = connection.execute("select tags from duckdb_databases() where not internal").fetchall()
    assert tags["storage_version"].startswith("v1.4")


def test_files_are_synced_before_the_switch(data, monkeypatch):
    synced, before_switch = set(), set()
    real_sync, real_switch = os.fsync, publishing.switch

    def record(descriptor):
        synced.add(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real_sync(descriptor)

    def switch(*arguments):
        before_switch.update(synced)
        real_switch(*arguments)

    monkeypatch.setattr(os, "fsync", record)
    monkeypatch.setattr(publishing, "switch", switch)
    published = run(data)
    assert {Path(file.path).name for file in published.manifest.files} <= before_switch
    assert "manifest.json" in before_switch
