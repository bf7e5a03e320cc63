"""A machine that fails a refresh: a full disk, failing fsync, a clock that jumps, two refreshes at once.

After the next ordinary refresh nothing is lost or doubled, and everything equals a rebuild.
"""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from serving.published import NothingPublished, read_current
from tests.browser import missing
from tests.conftest import PROJECT
from tests.faults.refresh_process import refresh
from tests.faults.store import Store, environment, faults_of

pytestmark = pytest.mark.long
DISK_BYTES = 400_000_000
ROOM = (2_000_000, 20_000_000, 60_000_000)  # too little to load, to build, to publish
# dbt, the child process, reads no clock, and would take four times as long.
REFRESH = """
import os, sys
os.environ.pop("LD_PRELOAD", None)
from orchestration.cli import main
sys.argv = ["pixelnova", "refresh"]
main()
"""
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")


@pytest.fixture
def disk(tmp_path):
    """A small disk."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "pixelnova-faults", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        missing("a small disk cannot be mounted: run the test as root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def published(data: Path) -> str | None:
    """The name of the current version."""
    try:
        return read_current(data).manifest.version
    except NothingPublished:
        return None


def command(data: Path, url: str, *before: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the refresh command in a separate process, prefixed by `before`."""
    return subprocess.run(
        [*before, sys.executable, "-c", REFRESH],
        cwd=PROJECT,
        env={**os.environ, **environment(url), "PIXELNOVA_DATA": str(data), "COLUMNS": "200", **variables},
        capture_output=True,
        text=True,
    )


def test_a_full_disk_is_named_and_no_event_is_lost(disk, rebuilt, tmp_path):
    store, log, parts = Store(disk / "data"), tmp_path / "log", len(ROOM) + 1
    full = disk / "full"
    with store.online() as url:
        for part, room in enumerate(ROOM):
            full.unlink(missing_ok=True)
            store.receive(part, parts)
            before = published(store.data)
            with full.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free - room)
            log.unlink(missing_ok=True)
            assert refresh(store.data, environment(url), log) == 1
            assert f"The disk of {store.data} is full" in log.read_text()
            assert published(store.data) == before
        full.unlink()
        store.receive(len(ROOM), parts)
        assert refresh(store.data, environment(url), log) == 0, log.read_text()
    assert faults_of(store.data, rebuilt.data) == []


def test_failing_fsync_fails_the_refresh_and_no_event_is_lost(rebuilt, tmp_path):
    """All fsyncs of each thread fail, from its first one, from the 12th (loading), or from the 200th (publishing)."""
    strace = shutil.which("strace") or missing("strace is missing: apt-get install strace")
    store, log, firsts = Store(tmp_path / "data"), tmp_path / "log", (1, 12, 200)
    with store.online() as url:
        for part, first in enumerate(firsts):
            store.receive(part, len(firsts) + 1)
            before = published(store.data)
            inject = f"inject=fsync,fdatasync:error=EIO:when={first}+"
            tracing = (strace, "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync")
            done = command(store.data, url, *tracing, "-e", inject)
            assert done.returncode == 1, done.stdout
            assert "pixelnova: " in done.stderr and "Traceback" not in done.stderr
            assert published(store.data) == before
        store.receive(len(firsts), len(firsts) + 1)
        assert refresh(store.data, environment(url), log) == 0, log.read_text()
    assert faults_of(store.data, rebuilt.data) == []


def test_after_clock_jumps_both_ways_everything_is_as_if_there_had_been_none(rebuilt, tmp_path):
    if not FAKETIME.exists():
        missing("libfaketime is missing: apt-get install faketime")
    store, log = Store(tmp_path / "data"), tmp_path / "log"
    with store.online() as url:
        for part, jump in enumerate(("+40d", "-3d")):
            store.receive(part, 3)
            clock = {"LD_PRELOAD": str(FAKETIME), "FAKETIME": jump, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
            done = command(store.data, url, **clock)
            assert done.returncode == 0, done.stderr
        store.receive(2, 3)
        assert refresh(store.data, environment(url), log) == 0, log.read_text()
    assert faults_of(store.data, rebuilt.data) == []


def test_of_two_refreshes_at_once_one_is_refused(rebuilt, tmp_path):
    store = Store(tmp_path / "data")
    logs = [tmp_path / f"log-{number}" for number in range(2)]
    with store.online() as url, ThreadPoolExecutor(2) as pool:
        store.receive(0, 2)
        codes = list(pool.map(lambda log: refresh(store.data, environment(url), log), logs))
        assert sorted(codes) == [0, 1]
        assert f"Another run is using {store.data}" in logs[codes.index(1)].read_text()
        store.receive(1, 2)
        assert refresh(store.data, environment(url), logs[0]) == 0, logs[0].read_text()
    assert faults_of(store.data, rebuilt.data) == []
