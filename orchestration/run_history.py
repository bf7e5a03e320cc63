"""Keeps Dagster's run history correct and small: marks killed runs as failed, deletes old runs.

Also lists the newest runs. Reads and writes Dagster's instance; reads the warehouse lock, which every live run holds.
"""

import shutil
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster._core.execution.stats import StepEventStatus
from dagster._core.launcher import DefaultRunLauncher
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

from orchestration.settings import data_folder, number_setting
from orchestration.warehouse_lock import is_held
from serving.runs import Run

DAYS_VARIABLE, MEGABYTES_VARIABLE = "PIXELNOVA_HISTORY_DAYS", "PIXELNOVA_HISTORY_MB"
DEFAULT_DAYS, DEFAULT_MEGABYTES = 14.0, 300.0
RUNS_SHOWN = 50  # on the dashboard
BUILDS_KEPT = 3  # runs whose dbt artifacts are kept
_ACTIVE = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
_START_UP = timedelta(minutes=1)  # a run takes the lock once its code is loaded
_SHUTDOWN_SECONDS = 3.0  # a run records its end after it has released the lock


def fail_killed_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs that never recorded their end as failed. The caller must hold the warehouse lock.

    Returns:
        Their ids.
    """
    killed = [record.dagster_run for record in instance.get_run_records(dg.RunsFilter(statuses=_ACTIVE))]
    for run in killed:
        instance.report_run_failed(run, "The run was killed: no process holds the warehouse lock.")
    return [run.run_id for run in killed]


def run_is_active(instance: dg.DagsterInstance) -> bool:
    """Whether a run is queued or in progress, or another process holds the warehouse."""
    unfinished = dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED, *_ACTIVE])
    return is_held(data_folder()) or instance.get_runs_count(unfinished) > 0


class LockedRunLauncher(DefaultRunLauncher):
    """Dagster's launcher with a health check: a live run holds the warehouse lock.

    Dagster's run monitoring calls the check and marks dead runs as failed.
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Always true."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Running if the warehouse is held or the run has just started; otherwise it was killed."""
        began_at = self._instance.get_run_record_by_id(run.run_id).start_time or time.time()
        if is_held(data_folder()) or time.time() - began_at < _START_UP.total_seconds():
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        time.sleep(_SHUTDOWN_SECONDS)
        if is_held(data_folder()) or self._instance.get_run_by_id(run.run_id).is_finished:
            return CheckRunHealthResult(WorkerStatus.SUCCESS)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "no process holds the warehouse lock")


def recent_runs(instance: dg.DagsterInstance) -> list[Run]:
    """The newest runs, the newest first."""
    return [_run(instance, record) for record in instance.get_run_records(limit=RUNS_SHOWN)]


def _run(instance: dg.DagsterInstance, record: dg.RunRecord) -> Run:
    run, started, ended = record.dagster_run, record.start_time, record.end_time
    failed = run.status == dg.DagsterRunStatus.FAILURE
    steps = instance.get_run_step_stats(run.run_id) if failed else []
    return Run(
        job=run.job_name,
        status=run.status.value.lower(),
        started_at=started and datetime.fromtimestamp(started, UTC),
        ended_at=ended and datetime.fromtimestamp(ended, UTC),
        seconds=round(ended - started, 1) if started and ended else None,
        failed_step=next((step.step_key for step in steps if step.status == StepEventStatus.FAILURE), None),
    )


def delete_old_runs(instance: dg.DagsterInstance, history: Path, keep: Sequence[str] = ()) -> list[str]:
    """Delete finished runs, the oldest first, until the history is within the limits on age and size.

    Args:
        history: the folder that dagster.yaml names.
        keep: ids of runs to keep, whatever their age.

    Returns:
        The ids of the deleted runs.

    Raises:
        SettingError: a limit is malformed.
    """
    oldest = _oldest()
    left = number_setting(MEGABYTES_VARIABLE, DEFAULT_MEGABYTES) * 1_000_000
    deleted = []
    for record in instance.get_run_records():  # the newest first
        run_id = record.dagster_run.run_id
        paths = [*(history / "history" / "runs").glob(f"{run_id}.db*"), history / "storage" / run_id, history / run_id]
        left -= sum(_size(path) for path in paths)
        if run_id in keep or not record.dagster_run.is_finished:
            continue
        if left < 0 or record.create_timestamp < oldest:
            instance.delete_run(run_id)
            _delete_check_results(instance, run_id)
            for path in paths:
                _remove(path)
            deleted.append(run_id)
    return deleted


def _delete_check_results(instance: dg.DagsterInstance, run_id: str) -> None:
    """Delete the results of a run's asset checks, which Dagster leaves behind."""
    storage = instance.event_log_storage
    if isinstance(storage, SqlEventLogStorage):
        with storage.index_connection() as connection:
            connection.execute(AssetCheckExecutionsTable.delete().where(AssetCheckExecutionsTable.c.run_id == run_id))


def delete_old_builds(folder: Path) -> None:
    """Keep dbt's artifacts of the newest runs only, and no longer than the run history."""
    builds = sorted((path for path in folder.glob("*") if path.is_dir()), key=lambda path: path.stat().st_mtime)
    for place, path in enumerate(reversed(builds)):
        if place >= BUILDS_KEPT or path.stat().st_mtime < _oldest().timestamp():
            _remove(path)


def _oldest() -> datetime:
    return datetime.now(UTC) - timedelta(days=number_setting(DAYS_VARIABLE, DEFAULT_DAYS))


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
