"""Dagster's real daemon: the sensor starts a refresh by itself, and `report` runs in a separate process."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest

from ingestion.data_folder import landing_folder, reports_folder
from ingestion.landing import archived_parts, sealed_files
from serving.published import read_current
from tests.child_process import child_process
from tests.conftest import PROJECT
from tests.landing_files import land
from tests.questions import DEMO_SHOP, lines_of

SECONDS = 300  # for a slow machine
FINISHED = ("SUCCESS", "FAILURE", "CANCELED")


@pytest.fixture
def data(tmp_path, monkeypatch, shop) -> Path:
    """A data folder with one day of events waiting."""
    from ingestion.simulator.catalogue import build_catalogue
    from ingestion.simulator.shoppers import simulate
    from orchestration.runner import prepare_dagster

    monkeypatch.setenv("PIXELNOVA_DATA", str(tmp_path))
    monkeypatch.setenv("PIXELNOVA_REFRESH_MINUTES", "0")
    for variable in ("PIXELNOVA_DAGSTER", "DAGSTER_HOME", "PATH", "VIRTUAL_ENV"):  # prepare_dagster sets them
        monkeypatch.setenv(variable, os.environ.get(variable, ""))
    monkeypatch.delenv("DAGSTER_HOME")
    prepare_dagster()
    week_ago = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=8)
    land(landing_folder(tmp_path), islice(lines_of(simulate(shop, build_catalogue(1), 1, week_ago, days=1)), 500))
    return tmp_path


@pytest.fixture
def daemon(data) -> Iterator[subprocess.Popen]:
    """Dagster's daemon with these definitions; its log is in the data folder."""
    command = [sys.executable, "-m", "dagster._daemon", "run", "-m", "orchestration.definitions"]
    with (data / "daemon.log").open("w") as log, child_process(command, stdout=log, stderr=log) as process:
        yield process
        process.send_signal(signal.SIGINT)
        process.wait(60)


def wait_for_run(instance, job: str):
    """The record of a job's newest run, once it has ended."""
    import dagster as dg

    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        records = instance.get_run_records(dg.RunsFilter(job_name=job), limit=1)
        if records and records[0].dagster_run.status.value in FINISHED:
            return records[0].dagster_run
        time.sleep(1)
    return pytest.fail(f"no run of {job} has ended")


@pytest.mark.long
def test_waiting_files_are_refreshed_and_reports_written_by_the_daemon(data, daemon):
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        run = wait_for_run(instance, "refresh")
        assert run.is_success, (data / "daemon.log").read_text()[-3000:]
        assert run.tags["started_because"].startswith("1 landing files")
        assert run.tags["dagster/sensor_name"] == "waiting_files"
        assert sealed_files(landing_folder(data)) == [] and archived_parts(landing_folder(data))
        assert read_current(data).manifest.rows_by_table["core.pixel_events"] > 400
        declared = {state.name for state in instance.all_instigator_state()}
        assert declared == {"waiting_files", "hourly", "weekly"}  # the daemon evaluates all of them

        command = [sys.executable, "-m", "dagster", "job", "launch", "-m", "orchestration.definitions", "-j", "report"]
        subprocess.run(command, cwd=PROJECT, check=True, timeout=SECONDS, capture_output=True)
        assert wait_for_run(instance, "report").is_success, (data / "daemon.log").read_text()[-3000:]
        assert len(list(reports_folder(data, DEMO_SHOP).glob("*.html"))) == 1
        assert len(instance.get_run_records(dg.RunsFilter(job_name="refresh"))) == 1  # nothing waits any more
    assert daemon.poll() is None
