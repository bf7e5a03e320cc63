"""Runs the job `refresh` or `full_rebuild` in this process, without Dagster's web server.

Reads the data folder, writes a new published version; the run appears in Dagster's history like any other. Dagster is
imported only when a run starts: loading it takes seconds.
"""

import contextlib
import logging
import os
import signal
import socket
import traceback
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from ingestion.experiments import experiments_file, load_experiments
from ingestion.shops import load_shops
from orchestration.build_warnings import BuildWarning, build_warnings
from orchestration.dbt_manifest import MANIFEST, prepare_dbt
from orchestration.disk_space import DiskFull, causes, disk_full
from orchestration.errors import OrchestrationError
from orchestration.health_report import report_after_refresh
from orchestration.log_files import logging_to
from orchestration.news import news
from orchestration.run_log import COMPONENT, record_nothing_to_do
from orchestration.settings import (
    DAGSTER_VARIABLE,
    EXECUTABLES,
    PROJECT_ROOT,
    data_folder,
    make_data_folder,
    shops_file,
)
from orchestration.warehouse_lock import WarehouseBusy, is_held, warehouse_lock
from serving.published import CURRENT, published_folder

HOME_VARIABLE = "DAGSTER_HOME"  # the folder of dagster.yaml
LOG = "refresh.log"

messages = logging.getLogger(__name__)


class RefreshFailed(OrchestrationError):
    """A step failed for an unexpected reason; the message names the step and the log."""


class RefreshInterrupted(OrchestrationError):
    """Ctrl-C or SIGTERM stopped the refresh."""

    exit_code = 130


class Refreshed(NamedTuple):
    """The result of a refresh. is_news: whether it built and published anything. warnings: of dbt's tests."""

    is_news: bool
    warnings: Sequence[BuildWarning] = ()


def refresh(
    on_plan: Callable[[int], None],
    on_asset: Callable[[str], None],
    on_message: Callable[[str], None] = lambda message: None,
    full: bool = False,
) -> Refreshed:
    """Load, build and publish, unless nothing has changed since the last refresh.

    Args:
        full: load the whole landing archive again and rebuild every table. Data fetched from Shopify is kept.
        on_plan: called once with the number of assets.
        on_asset: called with the name of each asset that is done.
        on_message: called with progress messages of slow sources, such as a large catalogue.

    Raises:
        RefreshFailed: a step failed; `__cause__` is the original error.
        DiskFull: the disk is full; the message names the folder.
        WarehouseBusy: another run holds the warehouse.
        RefreshInterrupted: by Ctrl-C or SIGTERM.
    """
    shops = load_shops(shops_file())  # fail before the run starts, with a clear message
    load_experiments(experiments_file(shops_file()), shops)
    log = make_data_folder() / "dagster" / LOG
    if not full and not news(data_folder(), shops_file()):
        run_id = str(uuid.uuid4())
        with logging_to(data_folder(), COMPONENT, run_id):
            messages.info("nothing has changed since the last refresh, so nothing was built")
        if not is_held(data_folder()):  # otherwise, the run in progress records its own end
            record_nothing_to_do(data_folder(), run_id)
        report_after_refresh(data_folder(), shops_file(), run_id, datetime.now(UTC))
        return Refreshed(is_news=False)
    prepare_dbt()
    import dagster as dg

    from orchestration.definitions import defs
    from orchestration.run_history import fail_killed_runs

    job = defs().resolve_job_def("full_rebuild" if full else "refresh")
    on_plan(len(job.asset_layer.executable_asset_keys))
    steps_failed = []
    version_before = _published_version()

    def on_event(entry: Any) -> None:
        event = entry.dagster_event
        if event is None:
            return
        if interrupted() and (event.is_step_start or event.is_step_materialization):
            raise dg.DagsterExecutionInterruptedError
        if event.is_step_materialization:
            on_asset("/".join(event.asset_key.path))
        elif event.is_step_failure:
            steps_failed.append(event.step_key)

    log.parent.mkdir(parents=True, exist_ok=True)
    os.environ |= {HOME_VARIABLE: str(PROJECT_ROOT), DAGSTER_VARIABLE: str(log.parent)}
    run_id = str(uuid.uuid4())
    interrupts = (KeyboardInterrupt, dg.DagsterExecutionInterruptedError)
    try:
        with _watched_signals() as interrupted, dg.DagsterInstance.get() as instance:
            with warehouse_lock():  # so that the log of another run is not overwritten
                fail_killed_runs(instance)
            instance.add_event_listener(run_id, on_event)
            with _logging_to(log), _source_messages(on_message):
                job.execute_in_process(
                    instance=instance,
                    run_id=run_id,
                    run_config={
                        "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
                        "ops": {"pixel": {"config": {"everything": full}}},
                    },
                )
    except WarehouseBusy:
        raise
    except (Exception, *interrupts) as error:
        is_published = _published_version() != version_before
        outcome = "A new version was published before." if is_published else "The published version is unchanged."
        if interrupted() or isinstance(error, interrupts):
            raise RefreshInterrupted(
                f"The refresh was interrupted. {outcome} Run it again: it continues where it stopped."
            ) from None
        full_disk = disk_full(error, data_folder())
        if full_disk is not None:
            raise DiskFull(f"{full_disk} {outcome}") from error
        step = ", ".join(steps_failed) or "start"
        raise RefreshFailed(
            f"The refresh failed at {step}: {_reason(error)} {outcome} See {log}, or the run in Dagster's history "
            "(`make dev`)."
        ) from error
    warnings = build_warnings(data_folder() / "dbt" / run_id, prepare_dbt() / MANIFEST)
    return Refreshed(_published_version() != version_before, warnings)


def _published_version() -> str:
    """The name of the current published version."""
    return (published_folder(data_folder()) / CURRENT).resolve().name


@contextlib.contextmanager
def _watched_signals() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether SIGINT or SIGTERM has arrived.

    The exception that a signal handler raises may be lost: DuckDB reports a failed query instead, and Python ignores
    exceptions in finalizers.
    """
    arrived = set()
    reading, writing = socket.socketpair()
    with reading, writing:
        reading.setblocking(False)
        writing.setblocking(False)
        former = signal.set_wakeup_fd(writing.fileno())

        def interrupted() -> bool:
            with contextlib.suppress(OSError):  # nothing new, or no longer watched
                arrived.update(reading.recv(4096))
            return not arrived.isdisjoint((signal.SIGINT, signal.SIGTERM))

        try:
            yield interrupted
        finally:
            interrupted()
            signal.set_wakeup_fd(former)


def prepare_dagster() -> None:
    """Load the definitions and mark killed runs as failed, before Dagster's own processes start.

    Without this, Dagster would start without assets if they do not load, and wait forever for a killed run; it reports
    neither.

    Raises:
        DbtProjectError: dbt cannot parse the project.
    """
    prepare_dbt()
    os.environ.setdefault(HOME_VARIABLE, str(PROJECT_ROOT))
    os.environ["PATH"] = f"{EXECUTABLES}{os.pathsep}{os.environ.get('PATH', '')}"
    os.environ["VIRTUAL_ENV"] = str(EXECUTABLES.parent)  # where `dg` looks for Dagster
    os.environ[DAGSTER_VARIABLE] = str(make_data_folder() / "dagster")
    import dagster as dg

    from orchestration.definitions import defs
    from orchestration.run_history import fail_killed_runs

    defs()
    with contextlib.suppress(WarehouseBusy), warehouse_lock(), dg.DagsterInstance.get() as instance:
        fail_killed_runs(instance)


def _reason(error: BaseException) -> str:
    """The first line of the innermost error that is not one of Dagster's wrappers."""
    *_, error = [cause for cause in causes(error) if not type(cause).__module__.startswith("dagster.")] or [error]
    lines = str(error).strip().splitlines() or [""]
    message = lines[0][:300].rstrip(".")
    return f"{type(error).__name__}: {message}." if message else f"{type(error).__name__}."


@contextlib.contextmanager
def _logging_to(log: Path) -> Iterator[None]:
    """Write the output of the run and its child processes to the log, and the error that ends it."""
    with log.open("w") as output, contextlib.redirect_stdout(output), _stderr_to(output):
        try:
            yield
        except BaseException:
            with contextlib.suppress(OSError):  # the disk is full: the terminal shows the error
                traceback.print_exc(file=output)
                output.flush()
            raise


@contextlib.contextmanager
def _stderr_to(file: TextIO) -> Iterator[None]:
    """Redirect the stderr of child processes too: on Ctrl-C, those of Dagster print tracebacks."""
    terminal = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)


@contextlib.contextmanager
def _source_messages(on_message: Callable[[str], None]) -> Iterator[None]:
    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            on_message(record.getMessage()[:80])

    sources, listener = logging.getLogger("ingestion.sources"), Listener(logging.INFO)
    sources.addHandler(listener)
    sources.setLevel(logging.INFO)
    try:
        yield
    finally:
        sources.removeHandler(listener)
