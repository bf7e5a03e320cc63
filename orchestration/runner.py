"""Runs the job `refresh` in this process, without Dagster's web server.

The data folder flows in; a new published version flows out, and the run stands in Dagster's history like any other.
Dagster is imported only when a run starts: loading it takes seconds.
"""

import contextlib
import logging
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from ingestion.shops import load_shops
from orchestration.build_state import build_anew, project_files
from orchestration.settings import (
    DAGSTER_VARIABLE,
    DBT_PROJECT,
    EXECUTABLES,
    PROJECT_ROOT,
    data_folder,
    make_data_folder,
    shops_file,
)
from orchestration.warehouse_lock import warehouse_lock

LOG = "refresh.log"


class RefreshFailed(Exception):
    """A step failed for a reason that has no sentence of its own; the message names the step and the log."""


class RefreshInterrupted(Exception):
    """Somebody, or the system, asked it to end."""


def refresh(
    on_plan: Callable[[int], None],
    on_asset: Callable[[str], None],
    on_word: Callable[[str], None] = lambda word: None,
    full: bool = False,
) -> None:
    """Load, build, publish.

    Args:
        full: load the whole landing archive again and build every row anew. Shopify's answers are kept.
        on_plan: is called once with the number of assets to come.
        on_asset: is called with the name of each asset when it is done.
        on_word: is called with what the sources say of long work, such as a large catalogue.

    Raises:
        RefreshFailed: a step failed; the error that caused it is the `__cause__`.
        RefreshInterrupted: by Ctrl-C or SIGTERM.
    """
    load_shops(shops_file())  # better a clear word now than in the middle of a run
    log = make_data_folder() / "dagster" / LOG
    prepare_dbt()
    import dagster as dg
    from dagster._core.instance.ref import InstanceRef

    from orchestration.definitions import defs

    job = defs().resolve_job_def("refresh")
    on_plan(len(job.asset_layer.executable_asset_keys))
    steps_failed = []

    def on_event(entry: Any) -> None:
        event = entry.dagster_event
        if event is None:
            return
        if event.is_step_materialization:
            on_asset("/".join(event.asset_key.path))
        elif event.is_step_failure:
            steps_failed.append(event.step_key)

    log.parent.mkdir(parents=True, exist_ok=True)
    os.environ[DAGSTER_VARIABLE] = str(log.parent)
    with warehouse_lock():  # another run's log is not begun anew
        if full:
            _begin_anew(data_folder())
    with (
        dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(PROJECT_ROOT))) as instance,
        log.open("w") as output,
        contextlib.redirect_stdout(output),
        _errors_into(output),
        _listening_to_sources(on_word),
    ):
        run_id = dg._core.utils.make_new_run_id()
        instance.add_event_listener(run_id, on_event)
        try:
            job.execute_in_process(
                instance=instance,
                run_id=run_id,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )
        except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError):
            raise RefreshInterrupted(
                "The refresh was interrupted; what was published before stays. Run it again: it takes up where this "
                "one was."
            ) from None
        except Exception as error:
            step = ", ".join(steps_failed) or "start"
            raise RefreshFailed(
                f"The refresh failed at {step}; what was published before stays. Read {log}, or the run in Dagster's "
                "history (`make dev`)."
            ) from error


@contextlib.contextmanager
def _errors_into(file: TextIO) -> Iterator[None]:
    """Whatever child processes have to say, too: a terminal's Ctrl-C reaches Dagster's own, which answer at length."""
    terminal = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)


def _begin_anew(data: Path) -> None:
    """Whatever run comes next, after this one or instead of it, starts from the landing archive."""
    from ingestion.warehouse import forget_loads, warehouse_file

    if warehouse_file(data).exists():
        build_anew(warehouse_file(data))
        forget_loads(data)


@contextlib.contextmanager
def _listening_to_sources(on_word: Callable[[str], None]) -> Iterator[None]:
    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            on_word(record.getMessage()[:80])

    sources, listener = logging.getLogger("ingestion.sources"), Listener(logging.INFO)
    sources.addHandler(listener)
    sources.setLevel(logging.INFO)
    try:
        yield
    finally:
        sources.removeHandler(listener)


def prepare_dbt() -> None:
    """Write dbt's manifest, from which Dagster reads the models, if a file of the project is newer than it."""
    manifest = DBT_PROJECT / "target" / "manifest.json"
    if manifest.exists() and manifest.stat().st_mtime > max(path.stat().st_mtime for path in project_files()):
        return
    done = subprocess.run(
        [EXECUTABLES / "dbt", "parse", "--quiet"], cwd=DBT_PROJECT, env=os.environ, capture_output=True, text=True
    )
    if done.returncode:
        raise RefreshFailed(f"dbt cannot read {DBT_PROJECT}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
