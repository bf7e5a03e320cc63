"""A refresh of three stores; one killed while dbt runs, its data damaged; then one that repairs everything."""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import duckdb
import pytest
from dagster._core.instance.ref import InstanceRef
from dagster._core.launcher.base import WorkerStatus

from ingestion.data_folder import landing_folder, warehouse_file
from orchestration import run_history
from orchestration.news import PUBLISHED, WAREHOUSE, news
from orchestration.run_history import LockedRunLauncher
from orchestration.run_log import last_run
from orchestration.settings import SettingError
from orchestration.warehouse_lock import is_held, warehouse_lock
from serving.published import read_current
from serving.runs import published_runs
from tests.child_process import child_process
from tests.conftest import PROJECT
from tests.landing_files import land_events

SHOPS = """
[[shops]]
domain = "eur.myshopify.com"
name = "Berlin"
timezone = "Europe/Berlin"
currency = "EUR"
ingest_keys = ["key-of-eur"]
[shops.recommendations]
exclude = ["no-such-product"]

[[shops]]
domain = "jpy.myshopify.com"
name = "Osaka"
timezone = "Asia/Tokyo"
currency = "JPY"
ingest_keys = ["key-of-jpy"]

[[shops]]
domain = "quiet.myshopify.com"
name = "Quiet"
timezone = "UTC"
currency = "USD"
ingest_keys = ["key-of-quiet"]
"""


def event(number: int, name: str, data: dict) -> dict:
    return {
        "id": f"e{number}",
        "name": name,
        "clientId": f"c{number % 5}",
        "timestamp": f"2026-11-22T10:{number:02}:00Z",
        "data": data,
    }


def shopper(currency: str, amount: int, product: str) -> list[dict]:
    variant = {
        "id": "11",
        "price": {"amount": amount, "currencyCode": currency},
        "product": {"id": "1", "title": product},
    }
    checkout = {
        "token": "t",
        "order": {"id": "9"},
        "currencyCode": currency,
        "totalPrice": {"amount": amount, "currencyCode": currency},
        "subtotalPrice": {"amount": amount, "currencyCode": currency},
        "lineItems": [{"title": product, "quantity": 1, "variant": variant, "finalLinePrice": variant["price"]}],
    }
    views = [event(number, "product_viewed", {"productVariant": variant}) for number in range(8)]
    return [*views, event(9, "checkout_completed", {"checkout": checkout})]


@pytest.fixture(scope="module")
def refreshed(pixelnova, tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    data, shops = folder / "data", folder / "shops.toml"
    shops.write_text(SHOPS)
    land_events(landing_folder(data), "eur.myshopify.com", shopper("EUR", 40, "Teapot"))
    land_events(landing_folder(data), "jpy.myshopify.com", shopper("JPY", 9000, "Kettle"))
    env = {"PIXELNOVA_SHOPS": str(shops)}
    done = pixelnova("refresh", data=data, env=env)
    return SimpleNamespace(data=data, env=env, output=done.stdout, tables=tables(data))


def tables(data) -> dict[str, list]:
    names = ("core.orders", "core.sessions", "analytics.daily_shop", "operations.event_volume")
    with read_current(data).connect() as connection:
        return {name: connection.execute(f"select * from {name} order by all").fetchall() for name in names}


def statuses(data) -> list[str]:
    with sqlite3.connect(data / "dagster" / "history" / "runs.db") as connection:
        return [status for (status,) in connection.execute("select status from runs order by id").fetchall()]


def section(output: str, title: str, following: str) -> str:
    return output.split(f"\n{title} ")[1].split(f"\n{following} ")[0]


def test_the_summary_is_per_store_and_says_where_there_is_too_little_data(refreshed):
    berlin = section(refreshed.output, "Berlin", "Osaka")
    osaka = section(refreshed.output, "Osaka", "Quiet")
    quiet = refreshed.output.split("\nQuiet ")[1]
    assert "40.00 EUR" in berlin and "Teapot" in berlin and "JPY" not in berlin
    assert "9,000.00 JPY" in osaka and "Kettle" in osaka and "Teapot" not in osaka
    assert "No product views yet." in quiet
    assert "bought together often enough" not in quiet
    assert "0.0% @" not in refreshed.output


def test_a_dbt_test_warning_is_in_the_summary_with_its_rows_and_query(refreshed):
    warnings = refreshed.output.split("Data test warnings (published anyway)")[1]
    assert "every merchant rule has an effect" in warnings
    [build] = (refreshed.data / "dbt").iterdir()
    [query] = build.rglob("compiled/**/every_merchant_rule_has_an_effect.sql")
    assert query.name in "".join(warnings.replace("│", "").split())  # the cell is narrow


def log_lines(data) -> list[dict]:
    return [json.loads(line) for line in (data / "logs" / "refresh.jsonl").read_text().splitlines()]


def test_the_log_has_a_line_per_step_with_the_run(refreshed):
    lines = log_lines(refreshed.data)
    assert {"shops", "pixel", "models", "published__version"} <= {line.get("step") for line in lines}
    last = last_run(refreshed.data)
    assert {line["run"] for line in lines} == {last.run}
    assert lines[0]["message"] == "refresh started" and lines[-1]["message"] == "refresh finished"
    version = read_current(refreshed.data).manifest.version
    assert f"published version {version}" in [line["message"] for line in lines]
    assert last.ended_at >= last.began_at and last.error is None
    metrics = (refreshed.data / "metrics" / "pixelnova.prom").read_text()
    assert "pixelnova_refresh_failed 0.0" in metrics and 'pixelnova_problems{kind="stale"} 0.0' in metrics


def test_the_manifest_names_the_load_and_the_code(refreshed):
    published = read_current(refreshed.data)
    with published.connect() as connection:
        loads = connection.execute("select load_id, landing_files from operations.loads").fetchall()
    data, code = published.manifest.data, published.manifest.code
    assert [(data.newest_load, data.landing_files)] == loads
    assert re.fullmatch("[0-9a-f]{64}", code.fingerprint)
    assert code.commit is None or re.fullmatch("[0-9a-f]{40}(-dirty)?", code.commit)


def test_only_the_manifest_is_written_into_the_checkout(refreshed):
    assert not list((PROJECT / "dbt_project" / "target").glob("models-*"))
    assert not (PROJECT / ".nux").exists()


def test_status_does_not_read_the_warehouse(refreshed, pixelnova, monkeypatch):
    with duckdb.connect(str(warehouse_file(refreshed.data))):  # open, as during a run
        said = pixelnova("status", data=refreshed.data).stdout
    assert "18 events" in said
    assert re.search(r"Run in progress +│ no\b", said)
    monkeypatch.setenv("PIXELNOVA_DATA", str(refreshed.data))
    with warehouse_lock():
        assert re.search(r"Run in progress +│ yes\b", pixelnova("status", data=refreshed.data).stdout)


def test_monitoring_recognizes_live_runs_by_the_lock(refreshed, monkeypatch):
    monkeypatch.setenv("PIXELNOVA_DATA", str(refreshed.data))
    monkeypatch.setenv("PIXELNOVA_DAGSTER", str(refreshed.data / "dagster"))
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(PROJECT))) as instance:
        assert isinstance(instance.run_launcher, LockedRunLauncher)
        assert instance.run_monitoring_enabled
        [record] = instance.get_run_records()
        monkeypatch.setattr(run_history, "_START_UP", run_history.timedelta(days=-1))
        monkeypatch.setattr(run_history, "_SHUTDOWN_SECONDS", 0)

        def health(run) -> WorkerStatus:
            return instance.run_launcher.check_run_worker_health(run).status

        assert health(record.dagster_run) == WorkerStatus.SUCCESS
        killed = instance.create_run_for_job(dg.job(name="killed")(lambda: None), run_id=None)
        assert health(killed) == WorkerStatus.NOT_FOUND
        with warehouse_lock():
            assert health(killed) == WorkerStatus.RUNNING
        instance.delete_run(killed.run_id)


def test_dagster_has_the_checks_of_a_refresh_and_the_rows_of_every_mart(refreshed, monkeypatch):
    monkeypatch.setenv("PIXELNOVA_DAGSTER", str(refreshed.data / "dagster"))
    published = read_current(refreshed.data).manifest
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(PROJECT))) as instance:
        [record] = instance.get_run_records()
        run_id = record.dagster_run.run_id
        entries = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION).records
        results = [entry.event_log_entry.dagster_event.asset_check_evaluation_data for entry in entries]
        rows = {
            table: instance.fetch_observations(dg.AssetKey(table.split(".")), limit=1).records[0]
            for table in published.rows_by_table
        }
    failed = {result.check_name for result in results if not result.passed}
    failed -= {"disk_has_room"}  # it depends on this machine
    assert failed == {"every_merchant_rule_has_an_effect"}
    results = {result.check_name: result for result in results}
    counts = results["acknowledged_events_are_loaded_quarantined_or_waiting"].metadata
    assert counts["acknowledged"].value == counts["loaded"].value == 18
    assert results.keys() >= {"published_rows_are_the_rows_of_the_marts", "disk_has_room", "few_events_are_quarantined"}
    observed = {table: record.asset_observation.metadata["dagster/row_count"].value for table, record in rows.items()}
    assert observed == published.rows_by_table


def test_a_refresh_that_fails_while_it_loads_says_why_on_the_terminal_and_in_the_log(pixelnova, tmp_path):
    (tmp_path / "dlt").mkdir()
    (tmp_path / "dlt" / "pixel").write_text("a file where dlt keeps a folder")
    done = pixelnova("refresh", data=tmp_path, check=False)
    assert done.returncode == 1
    assert "The refresh failed at pixel: NotADirectoryError: " in done.stderr
    log = (tmp_path / "dagster" / "refresh.log").read_text()
    assert "Traceback" in log and "NotADirectoryError" in log
    [failed] = [line for line in log_lines(tmp_path) if line["message"].startswith("step failed")]
    assert failed["step"] == "pixel" and failed["level"] == "error"
    assert last_run(tmp_path).error.startswith("pixel: NotADirectoryError")


@pytest.mark.long
def test_a_refresh_that_fails_after_publication_says_so_and_the_next_one_does_not_stop_early(
    refreshed, pixelnova, tmp_path
):
    data = shutil.copytree(refreshed.data, tmp_path / "data", symlinks=True)
    before = read_current(data).folder.name
    land_events(landing_folder(data), "eur.myshopify.com", [event(20, "page_viewed", {})])
    looked = data / "privacy" / "looked"  # written by a check that runs after publication
    looked.unlink(missing_ok=True)
    looked.symlink_to(tmp_path / "no" / "folder")
    done = pixelnova("refresh", data=data, env=refreshed.env, check=False)
    assert done.returncode == 1
    assert read_current(data).folder.name != before
    assert "A new version was published before." in done.stderr and "unchanged" not in done.stderr
    shops = Path(refreshed.env["PIXELNOVA_SHOPS"])
    assert news(refreshed.data, shops) == []
    assert {WAREHOUSE, PUBLISHED} & set(news(data, shops))


def test_a_killed_refresh_holds_the_lock_while_dbt_writes_and_the_next_one_repairs_everything(refreshed, pixelnova):
    data = refreshed.data
    environment = {**os.environ, **refreshed.env, "PIXELNOVA_DATA": str(data)}
    command = [sys.executable, "-m", "orchestration.cli", "refresh", "--full"]
    with child_process(command, env=environment, stderr=subprocess.DEVNULL) as process:
        dbt = child(process.pid, b"build")
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert alive(dbt)
        assert is_held(data)
        wait_until(lambda: not alive(dbt))
        wait_until(lambda: not is_held(data))
    assert statuses(data) == ["SUCCESS", "STARTED"]
    assert last_run(data).ended_at is None

    with duckdb.connect(str(warehouse_file(data))) as connection:  # as after a kill between two steps of a load
        connection.execute("insert into raw_pixel.events select * from raw_pixel.events where shop like 'eur%'")
        connection.execute("delete from raw_pixel.events where shop like 'jpy%'")
    (data / "dbt" / "of-long-ago").mkdir()
    os.utime(data / "dbt" / "of-long-ago", (1, 1))
    with child_process([sys.executable, "-c", READER, str(warehouse_file(data))]):
        pixelnova("refresh", data=data, env=refreshed.env)
    assert tables(data) == refreshed.tables
    assert statuses(data) == ["SUCCESS", "FAILURE", "SUCCESS"]
    runs = published_runs(read_current(data))  # written by the newest run, which had not ended
    assert [run.status for run in runs] == ["started", "failure", "success"]
    assert [run.ended_at is None for run in runs] == [True, False, False] and runs[2].seconds > 0
    assert last_run(data).error is None
    builds = {path.name for path in (data / "dbt").iterdir()}
    assert len(builds) <= 4 and "of-long-ago" not in builds


def test_runs_beyond_the_history_limits_are_deleted_with_their_files(refreshed, monkeypatch):
    monkeypatch.setenv("PIXELNOVA_DATA", str(refreshed.data))
    monkeypatch.setenv("PIXELNOVA_DAGSTER", str(refreshed.data / "dagster"))
    monkeypatch.setenv("PIXELNOVA_HISTORY_MB", "0")
    before = statuses(refreshed.data)
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(PROJECT))) as instance:
        deleted = run_history.delete_old_runs(instance, refreshed.data / "dagster")
    assert len(deleted) == len(before) > 0
    assert statuses(refreshed.data) == []
    files = (refreshed.data / "dagster" / "history" / "runs").iterdir()
    assert {path.name.split(".")[0] for path in files} & set(deleted) == set()


@pytest.mark.parametrize(("variable", "value"), [("PIXELNOVA_HISTORY_MB", "300MB"), ("PIXELNOVA_HISTORY_DAYS", "inf")])
def test_a_history_limit_that_is_not_a_usable_number_is_named(tmp_path, monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with dg.DagsterInstance.ephemeral() as instance, pytest.raises(SettingError, match=f"{variable} is '{value}'"):
        run_history.delete_old_runs(instance, tmp_path)


READER = """
import duckdb, sys, time
while True:
    try:
        with duckdb.connect(sys.argv[1], read_only=True):
            time.sleep(0.5)
        time.sleep(1)
    except duckdb.IOException:
        time.sleep(0.05)
"""


def child(parent: int, word: bytes) -> int:
    """Wait for a child process with this word among its arguments; returns its id."""
    found = []

    def look() -> bool:
        for pid in subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True).stdout.split():
            try:
                if word in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                    found.append(int(pid))
            except FileNotFoundError:
                continue
        return bool(found)

    wait_until(look)
    return found[0]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(true, seconds: float = 600) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)
