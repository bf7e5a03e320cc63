"""The log of a run, and how the last refresh ended.

Reads the events of a Dagster run; writes data/logs/refresh.jsonl and data/last_run.json.
"""

import contextlib
import json
import logging
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from ingestion.collector.personal_text import clean_text
from orchestration.log_files import logging_to

LAST_RUN = "last_run.json"
COMPONENT = "refresh"
MAX_CHARACTERS = 300  # of a reason
DBT_ERRORS = "Errors parsed from dbt logs:"  # in the message of dagster-dbt, whose first lines are the command

log = logging.getLogger(__name__)


class LastRun(NamedTuple):
    """The last refresh. began_at, ended_at: ISO, UTC; ended_at is None while it runs, or if it was killed.

    error: why it failed, None if it did not.
    """

    run: str
    began_at: str
    ended_at: str | None = None
    error: str | None = None


class RunLog:
    """Logs the steps of one run and collects why steps fail."""

    def __init__(self, run_id: str, job: str) -> None:
        self.run_id, self.began_at = run_id, _now()
        self.failures: list[str] = []
        self.is_done = False  # whether the published version contains everything that was loaded
        self._started = time.monotonic()
        log.info("%s started", job)

    def on_event(self, entry: Any) -> None:
        """Handle one entry of Dagster's event log."""
        event = entry.dagster_event
        if event is None:
            return
        if event.is_step_success:
            seconds = round(event.step_success_data.duration_ms / 1000, 1)
            log.info("step %s finished", event.step_key, extra={"step": event.step_key, "seconds": seconds})
        elif event.is_step_failure:
            reason = f"{event.step_key}: {clean_text(_reason(event.step_failure_data.error))}"
            self.failures.append(reason)
            log.error("step failed: %s", reason, extra={"step": event.step_key})

    def end(self, job: str, error: str | None) -> None:
        """Log how the run ended."""
        seconds = round(time.monotonic() - self._started, 1)
        if error is None:
            log.info("%s finished", job, extra={"seconds": seconds})
        else:
            log.error("%s failed: %s", job, error, extra={"seconds": seconds})


@contextlib.contextmanager
def logged_run(data: Path, instance: Any, run: Any, is_refresh: bool) -> Iterator[RunLog]:
    """Log a Dagster run while the block runs.

    is_refresh: whether it is a complete refresh, whose end is recorded in data/last_run.json.
    """
    with logging_to(data, COMPONENT, run.run_id):
        run_log = RunLog(run.run_id, run.job_name)
        instance.add_event_listener(run.run_id, run_log.on_event)
        if is_refresh:
            _write(data, LastRun(run.run_id, run_log.began_at))
        interrupted = "it was interrupted"
        error: str | None = interrupted
        try:
            yield run_log
            error = "; ".join(run_log.failures) or (None if run_log.is_done or not is_refresh else interrupted)
        except Exception as problem:
            error = clean_text(f"{type(problem).__name__}: {problem}"[:MAX_CHARACTERS])
            raise
        finally:
            run_log.end(run.job_name, error)
            if is_refresh:
                _write(data, LastRun(run.run_id, run_log.began_at, _now(), error))


def record_nothing_to_do(data: Path, run_id: str) -> None:
    """Record a refresh that had nothing to do as the last one, which ended well."""
    _write(data, LastRun(run_id, _now(), _now()))


def last_run(data: Path) -> LastRun | None:
    """The last refresh; None before the first, or if the file is damaged."""
    try:
        return LastRun(**json.loads((data / LAST_RUN).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _write(data: Path, last: LastRun) -> None:
    unfinished = data / f"{LAST_RUN}.tmp"
    with unfinished.open("w") as file:
        json.dump(last._asdict(), file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(data / LAST_RUN)


def _reason(error: Any) -> str:
    """The first line of the innermost cause (Dagster's SerializableErrorInfo), or the first error of dbt in it."""
    if error is None:
        return "no reason was recorded"
    while error.cause is not None:
        error = error.cause
    lines = (error.message.partition(DBT_ERRORS)[2] or error.message).strip().splitlines()
    return lines[0][:MAX_CHARACTERS] if lines else error.cls_name or "no reason was recorded"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
