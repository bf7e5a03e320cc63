"""A load that was killed at any of dlt's steps, or whose files were damaged: the next one makes it whole by itself."""

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
from ingestion.sources.pixel import pixel_source
from ingestion.warehouse import archive_loaded, not_loaded, open_pipeline
from tests import landing_files
from tests.conftest import PROJECT

# A process to kill, which begins with dlt loaded and without threads.
FORK = multiprocessing.get_context("forkserver")
FORK.set_forkserver_preload([__name__])
BEFORE, AFTER = "before", "after"
# In the order in which a load comes by.
STEPS = [
    (ExtractStorage, "commit_new_load_package", BEFORE, ""),
    (ExtractStorage, "commit_new_load_package", AFTER, ""),
    (LoadStorage, "import_extracted_package", AFTER, ""),  # half normalized
    (LoadStorage, "commit_new_load_package", AFTER, ""),  # normalized, and still extracted
    (PackageStorage, "start_job", AFTER, "events"),
    (PackageStorage, "save_pending_transition", BEFORE, "events"),  # committed, and nobody has noted it
    (PackageStorage, "save_pending_transition", BEFORE, "landing_files"),
    (PackageStorage, "complete_job", AFTER, "landing_files"),
    (DuckDbClient, "complete_load", AFTER, ""),
    (PackageStorage, "complete_loading_package", AFTER, ""),  # package_completed.json is written, its folder not moved
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
    """The server finds what it shall load by PYTHONPATH only."""
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
    """Load, and get SIGKILL at a step: of dlt's own code, which goes on as it is until then."""
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
    """A warehouse with one file, and two more that wait; a line of these is no envelope."""
    land(tmp_path, line(0), line(1))
    load(tmp_path)
    land(tmp_path, line(2), b"no envelope\n", line(3))
    land(tmp_path, line(4))
    return tmp_path


@pytest.mark.parametrize(("owner", "step", "when", "table"), STEPS, ids=[f"{s[2]}-{s[1]}-{s[3]}" for s in STEPS])
def test_a_load_killed_at_any_step_is_made_whole_by_the_next(data, owner, step, when, table):
    assert in_a_process(load_and_die, data, owner, step, when, table) == -signal.SIGKILL
    load(data)
    assert raw(data) == LOADED
    assert sealed_files(landing_folder(data)) == []
    land(data, line(5))
    load(data)
    assert raw(data)["events"] == [*LOADED["events"], (5,)]


def write_and_die(data: Path) -> None:
    """Die while dlt writes its state: the temporary file is there, the rename is not done."""
    own = os.replace

    def dying(source, target):
        if str(target).endswith("state.json"):
            Path(source).write_text(Path(source).read_text()[:40])
            os.kill(os.getpid(), signal.SIGKILL)
        own(source, target)

    os.replace = dying
    load(data)


def test_a_kill_while_dlt_writes_its_state_is_survived(data):
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
        ("normalize/extracted/*/new_jobs/landing_files.*", 0),  # dlt reads no rows, and goes on
        ("normalize/.version", 0),
    ],
)
def test_files_of_dlt_that_a_power_cut_has_truncated_stop_nothing(data, pattern, size):
    waiting = not_loaded(sealed_files(landing_folder(data)), data)
    open_pipeline("pixel", data).extract(pixel_source(waiting, workspace(data)))
    files = list((data / "dlt" / "pixel").glob(pattern))
    assert files
    for file in files:
        file.write_bytes(file.read_bytes()[:size])
    load(data)
    assert raw(data) == LOADED


def test_a_temporary_file_that_dlt_left_among_its_schemas_is_no_schema(data):
    FileStorage(str(data / "dlt" / "pixel" / "schemas")).save("0123456789abcdef", "{")
    load(data)
    assert raw(data) == LOADED


COPY = "insert into raw_pixel.{table} select * from raw_pixel.{table} where landing_file = $file"
# What a killed load, or a hand, has done to one file's rows; each file holds two events and a line that is no envelope.
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
COPIES = 4  # of these only add rows


@pytest.fixture
def damaged(tmp_path):
    """A warehouse whose every landing file but one is damaged in another way, and what it held before."""
    files = [land(tmp_path, line(2 * n), b"no envelope\n", line(2 * n + 1)).name for n in range(len(DAMAGE) + 1)]
    load(tmp_path)
    whole = raw(tmp_path)
    with duckdb.connect(str(warehouse_file(tmp_path))) as connection:
        for file, damage in zip(files, DAMAGE, strict=False):
            connection.execute(damage, {"file": file})
    assert raw(tmp_path) != whole
    return tmp_path, whole, files


def test_raw_rows_that_are_not_those_of_the_ledger_are_loaded_again_from_the_archive(damaged):
    data, whole, files = damaged
    assert {part.name.removesuffix(".zst") for part in not_loaded([], data)} == set(files[:-1])
    load(data)
    assert raw(data) == whole
    assert not_loaded([], data) == []


def test_where_the_archive_was_lost_rows_are_kept_once_and_the_ledger_counts_them(damaged):
    data, whole, files = damaged
    for part in (landing_folder(data) / "archive").rglob("*.zst"):
        part.unlink()
    load(data)
    found = raw(data)
    assert found["ledger"] == [(2, 1)] * COPIES + [(1, 1), (0, 1), (2, 0), (2, 1), (2, 1)]
    assert found["events"] == [(index,) for (index,) in whole["events"] if index not in (8, 10, 11)]
    assert len(found["lines"]) == len(files) - 1
