"""Runs the job `refresh` in this process, without Dagster's web server.

Reads the data folder, writes a new published version; the run is in Dagster's history like any other. Dagster is
imported only when a run starts: loading it takes seconds.
"""

import contextlib
import logging
import os
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from ingestion.shops import load_shops
from orchestration.build_warnings import BuildWarning, build_warnings
from orchestration.dbt_manifest import prepare_dbt
from orchestration.disk_space import causes, disk_full
from orchestration.news import news
from orchestration.settings import (
    DAGSTER_VARIABLE,
    EXECUTABLES,
    PROJECT_ROOT,
    data_folder,
    make_data_folder,
    shops_file,
)
from orchestration.warehouse_lock import WarehouseBusy, warehouse_lock

LOG = "refresh.log"
PUBLISHED_ASSET = "published/version"


class RefreshFailed(Exception):
    """A step failed for a reason that has no sentence of its own; the message names the step and the log."""


class RefreshInterrupted(Exception):
    """Somebody, or the system, asked it to end."""


class Refreshed(NamedTuple):
    """What a refresh did. is_news: whether there was anything to build and publish. warnings: of dbt's tests."""

    is_news: bool
    warnings: Sequence[BuildWarning] = ()


def refresh(
    on_plan: Callable[[int], None],
    on_asset: Callable[[str], None],
    on_word: Callable[[str], None] = lambda word: None,
    full: bool = False,
) -> Refreshed:
    """Load, build, publish, unless nothing has changed since the last time.

    Args:
        full: load the whole landing archive again and build every row anew. Shopify's answers are kept.
        on_plan: is called once with the number of assets to come.
        on_asset: is called with the name of each asset when it is done.
        on_word: is called with what the sources say of long work, such as a large catalogue.

    Raises:
        RefreshFailed: a step failed; the error that caused it is the `__cause__`.
        DiskFull: there is no space left; the message names the folder.
        WarehouseBusy: another run is at work.
        RefreshInterrupted: by Ctrl-C or SIGTERM.
    """
    load_shops(shops_file())  # better a clear word now than in the middle of a run
    log = make_data_folder() / "dagster" / LOG
    if not full and not news(data_folder(), shops_file()):
        return Refreshed(is_news=False)
    prepare_dbt()
    import dagster as dg
    from dagster._core.instance.ref import InstanceRef

    from orchestration.definitions import defs
    from orchestration.run_history import fail_killed_runs

    job = defs().resolve_job_def("refresh")
    on_plan(len(job.asset_layer.executable_asset_keys))
    steps_failed = []
    published = []

    def on_event(entry: Any) -> None:
        event = entry.dagster_event
        if event is None:
            return
        if event.is_step_materialization:
            name = "/".join(event.asset_key.path)
            on_asset(name)
            if name == PUBLISHED_ASSET:
                published.append(name)
        elif event.is_step_failure:
            steps_failed.append(event.step_key)

    log.parent.mkdir(parents=True, exist_ok=True)
    os.environ[DAGSTER_VARIABLE] = str(log.parent)
    run_id = dg._core.utils.make_new_run_id()
    try:
        with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(PROJECT_ROOT))) as instance:
            with warehouse_lock():  # another run's log is not overwritten
                fail_killed_runs(instance)
                if full:
                    _begin_again(data_folder())
            instance.add_event_listener(run_id, on_event)
            with _logging_to(log), _listening_to_sources(on_word):
                job.execute_in_process(
                    instance=instance,
                    run_id=run_id,
                    run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                )
    except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError):
        raise RefreshInterrupted(
            "The refresh was interrupted; what was published before stays. Run it again: it continues where this one "
            "stopped."
        ) from None
    except WarehouseBusy:
        raise
    except Exception as error:
        full_disk = disk_full(error, data_folder())
        if full_disk is not None:
            raise full_disk from error
        step = ", ".join(steps_failed) or "start"
        raise RefreshFailed(
            f"The refresh failed at {step}: {_reason(error)} What was published before stays. Read {log}, or the run "
            "in Dagster's history (`make dev`)."
        ) from error
    return Refreshed(bool(published), build_warnings(data_folder() / "dbt" / run_id))


def prepare_dagster() -> None:
    """Load the definitions once, and mark runs that were killed as failed, before Dagster's own processes start.

    These would come up without assets, and wait for ever for a run that was killed, and say neither.

    Raises:
        DbtProjectError: dbt cannot read the project.
    """
    prepare_dbt()
    os.environ.setdefault("DAGSTER_HOME", str(PROJECT_ROOT))
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
    """The first sentence of the innermost error that is not Dagster's wrapping of another."""
    *_, error = [one for one in causes(error) if not type(one).__module__.startswith("dagster.")] or [error]
    lines = str(error).strip().splitlines() or [""]
    said = lines[0][:300].rstrip(".")
    return f"{type(error).__name__}: {said}." if said else f"{type(error).__name__}."


@contextlib.contextmanager
def _logging_to(log: Path) -> Iterator[None]:
    """All that the run and its child processes print goes into the log, and so does the error that ends it."""
    with log.open("w") as output, contextlib.redirect_stdout(output), _errors_into(output):
        try:
            yield
        except BaseException:
            with contextlib.suppress(OSError):  # the disk is full: the error itself is said on the terminal
                traceback.print_exc(file=output)
                output.flush()
            raise


@contextlib.contextmanager
def _errors_into(file: TextIO) -> Iterator[None]:
    """What child processes print, too: a terminal's Ctrl-C reaches Dagster's own, which answer at length."""
    terminal = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)


def _begin_again(data: Path) -> None:
    """The next run, this one or another, starts from the landing archive."""
    from ingestion.data_folder import warehouse_file
    from ingestion.warehouse import reset_ledger
    from orchestration.build_state import build_anew

    if warehouse_file(data).exists():
        build_anew(warehouse_file(data))
        reset_ledger(data)


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
