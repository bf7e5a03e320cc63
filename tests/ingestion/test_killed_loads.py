"""Loads killed at any dlt step, or with damaged files: the next load repairs them without manual steps."""

import multiprocessing
import os
import signal
import threading
from multiprocessing import forkserver
from pathlib import Path

import duckdb
import pytest
from dlt.common.storages import FileStorage, LoadStorage
from dlt.common.storages.load_package import PackageStorage
from dlt.destinations.impl.duckdb.duck import DuckDbClient
from dlt.extract.storage import ExtractStorage

from ingestion.data_folder import landing_folder, warehouse_file, workspace
from ingestion.landing import sealed_files
from ingestion.quarantine import put_aside_events
from ingestion.sources.pixel import pixel_source
from ingestion.warehouse import archive_loaded, not_loaded, open_pipeline
from tests import landing_files
from tests.conftest import PROJECT

# A process to kill, started with dlt loaded and without threads.
FORK = multiprocessing.get_context("forkserver")
FORK.set_forkserver_preload([__name__])
BEFORE, AFTER = "before", "after"
# In the order of a load.
STEPS = [
    (ExtractStorage, "commit_new_load_package", BEFORE, ""),
    (ExtractStorage, "commit_new_load_package", AFTER, ""),
    (LoadStorage, "import_extracted_package", AFTER, ""),  # half normalized
    (LoadStorage, "commit_new_load_package", AFTER, ""),  # normalized, with extracted files left
    (PackageStorage, "start_job", AFTER, "events"),
    (PackageStorage, "save_pending_transition", BEFORE, "events"),  # committed, but not recorded
    (PackageStorage, "save_pending_transition", BEFORE, "landing_files"),
    (PackageStorage, "complete_job", AFTER, "landing_files"),
    (DuckDbClient, "complete_load", AFTER, ""),
    (
        PackageStorage,
        "complete_loading_package",
        AFTER,
        "",
    ),  # package_completed.json is written, folder not moved
]


def line(number: int) -> bytes:
    return landing_files.line({"id": f"e{number}", "name": "n"}, index=number, request_id=f"r{number}")


def land(data: Path, *lines: bytes) -> Path:
    return landing_files.land(landing_folder(data), lines)


def load(data: Path) -> None:
    pipeline = open_pipeline("pixel", data)
    sealed = sealed_files(landing_folder(data))
    pipeline.run(pixel_source(not_loaded(sealed, data), workspace(data)))
    archive_loaded(sealed, data)


@pytest.fixture(scope="module", autouse=True)
def fork_server():
    """The server finds its preload modules only through PYTHONPATH."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(PROJECT))
        forkserver.ensure_running()
        yield


def in_a_process(target, *arguments) -> int:
    process = FORK.Process(target=target, args=arguments)
    process.start()
    process.join(120)
    return process.exitcode


def load_and_die(data: Path, owner: type, step: str, when: str, table: str) -> None:
    """Load, and SIGKILL this process at a step of dlt's own, unpatched code."""
    own = getattr(owner, step)

    def dying(*arguments, **named):
        concerned = not table or any(str(argument).startswith(f"{table}.") for argument in arguments)
        if concerned and when == BEFORE:
            os.kill(os.getpid(), signal.SIGKILL)
        result = own(*arguments, **named)
        if concerned:
            os.kill(os.getpid(), signal.SIGKILL)
            threading.Event().wait()
        return result

    setattr(owner, step, dying)
    load(data)


def raw(data: Path) -> dict[str, list]:
    with duckdb.connect(str(warehouse_file(data)), read_only=True) as connection:
        return {
            "events": connection.execute("select index from raw_pixel.events order by all").fetchall(),
            "lines": connection.execute("select line from raw_pixel.unreadable_lines order by all").fetchall(),
            "ledger": connection.execute(
                "select events, unreadable_lines from raw_pixel.landing_files order by landing_file"
            ).fetchall(),
        }


LOADED = {"events": [(0,), (1,), (2,), (3,), (4,)], "lines": [("no envelope",)], "ledger": [(2, 0), (2, 1), (1, 0)]}


@pytest.fixture
def data(tmp_path):
    """A warehouse with one loaded file and two pending ones, one of which has a line that is not an envelope."""
    land(tmp_path, line(0), line(1))
    load(tmp_path)
    land(tmp_path, line(2), b"no envelope\n", line(3))
    land(tmp_path, line(4))
    return tmp_path


@pytest.mark.parametrize(("owner", "step", "when", "table"), STEPS, ids=[f"{s[2]}-{s[1]}-{s[3]}" for s in STEPS])
def test_the_next_load_repairs_one_killed_at_any_step(data, owner, step, when, table):
    assert in_a_process(load_and_die, data, owner, step, when, table) == -signal.SIGKILL
    load(data)
    assert raw(data) == LOADED
    assert sealed_files(landing_folder(data)) == []
    land(data, line(5))
    load(data)
    assert raw(data)["events"] == [*LOADED["events"], (5,)]


def write_and_die(data: Path) -> None:
    """Die while dlt writes its state: after the temporary file, before the rename."""
    own = os.replace

    def dying(source, target):
        if str(target).endswith("state.json"):
            Path(source).write_text(Path(source).read_text()[:40])
            os.kill(os.getpid(), signal.SIGKILL)
        own(source, target)

    os.replace = dying
    load(data)


def test_a_kill_during_dlts_state_write_is_harmless(data):
    assert in_a_process(write_and_die, data) == -signal.SIGKILL
    load(data)
    assert raw(data) == LOADED


@pytest.mark.parametrize(
    ("pattern", "size"),
    [
        ("state.json", 20),
        ("schemas/*.json", 20),
        ("normalize/extracted/*/schema.json", 0),
        ("normalize/extracted/*/load_package_state.json", 20),
        ("normalize/extracted/*/new_jobs/events.*.parquet", 20),
        ("normalize/extracted/*/new_jobs/landing_files.*", 0),  # dlt reads no rows and continues
        ("normalize/.version", 0),
    ],
)
def test_truncated_dlt_files_do_not_block_loads(data, pattern, size):
    waiting = not_loaded(sealed_files(landing_folder(data)), data)
    open_pipeline("pixel", data).extract(pixel_source(waiting, workspace(data)))
    files = list((data / "dlt" / "pixel").glob(pattern))
    assert files
    for file in files:
        file.write_bytes(file.read_bytes()[:size])
    load(data)
    assert raw(data) == LOADED


def test_leftover_temporary_schema_files_are_ignored(data):
    FileStorage(str(data / "dlt" / "pixel" / "schemas")).save("0123456789abcdef", "{")
    load(data)
    assert raw(data) == LOADED


COPY = "insert into raw_pixel.{table} select * from raw_pixel.{table} where landing_file = $file"
# Damage by a killed load or by manual edits to one file's rows; each file has two events and an unreadable line.
DAMAGE = [
    "insert into raw_pixel.events select * from raw_pixel.events where landing_file = $file limit 1",
    COPY.format(table="events"),
    COPY.format(table="unreadable_lines"),
    COPY.format(table="landing_files"),
    "delete from raw_pixel.events where landing_file = $file and index % 2 = 0",
    "delete from raw_pixel.events where landing_file = $file",
    "delete from raw_pixel.unreadable_lines where landing_file = $file",
    "delete from raw_pixel.landing_files where landing_file = $file",
]
COPIES = 4  # the first ones only add rows


@pytest.fixture
def damaged(tmp_path):
    """A warehouse with the rows of all landing files but the last damaged, its previous content, and the files."""
    files = [land(tmp_path, line(2 * n), b"no envelope\n", line(2 * n + 1)).name for n in range(len(DAMAGE) + 1)]
    load(tmp_path)
    whole = raw(tmp_path)
    with duckdb.connect(str(warehouse_file(tmp_path))) as connection:
        for file, damage in zip(files, DAMAGE, strict=False):
            connection.execute(damage, {"file": file})
    assert raw(tmp_path) != whole
    return tmp_path, whole, files


def test_raw_rows_that_contradict_the_ledger_are_loaded_again_from_the_archive(damaged):
    data, whole, files = damaged
    assert {part.name.removesuffix(".zst") for part in not_loaded([], data)} == set(files[:-1])
    load(data)
    assert raw(data) == whole
    assert not_loaded([], data) == []


def test_without_the_archive_rows_are_deduplicated_and_the_ledger_counts_them(damaged):
    data, whole, files = damaged
    for part in (landing_folder(data) / "archive").rglob("*.zst"):
        part.unlink()
    load(data)
    found = raw(data)
    assert found["ledger"] == [(2, 1)] * COPIES + [(1, 1), (0, 1), (2, 0), (2, 1), (2, 1)]
    assert found["events"] == [(index,) for (index,) in whole["events"] if index not in (8, 10, 11)]
    assert len(found["lines"]) == len(files) - 1


def test_without_the_archive_all_events_put_aside_stay(tmp_path):
    land(tmp_path, line(0), line(1), line(2), b"no envelope\n")
    load(tmp_path)
    with duckdb.connect(str(warehouse_file(tmp_path))) as connection:
        connection.execute("create schema staging")
        connection.execute(
            "create table staging.stg_pixel__events as select *, index as request_index, "
            "json_extract_string(event, '$.id') as event_key from raw_pixel.events"
        )
    assert put_aside_events(warehouse_file(tmp_path), ["e0", "e1"], "it fails a test") == 2
    for part in (landing_folder(tmp_path) / "archive").rglob("*.zst"):
        part.unlink()
    whole = raw(tmp_path)
    with duckdb.connect(str(warehouse_file(tmp_path))) as connection:
        connection.execute("insert into raw_pixel.unreadable_lines from raw_pixel.unreadable_lines")
    load(tmp_path)
    assert raw(tmp_path) == whole
    assert len(whole["lines"]) == 3
