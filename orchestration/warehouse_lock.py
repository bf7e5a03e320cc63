"""The exclusive lock on the warehouse: DuckDB allows one writing process.

The kernel releases it when the last process that holds it ends, for whatever reason. dbt, a child process of the run,
holds it too: if only the run is killed, dbt keeps writing for a while.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from orchestration.errors import OrchestrationError
from orchestration.settings import make_data_folder

LOCK = "warehouse.lock"
WAIT_SECONDS = 5.0  # child processes of a finished run have ended by then
_STANDARD_INPUT = 0


class WarehouseBusy(OrchestrationError):
    """Another run holds the warehouse; the message names the remedy."""


@contextmanager
def warehouse_lock(wait_seconds: float = WAIT_SECONDS) -> Iterator[IO[str]]:
    """Hold the warehouse while the block runs; yields the lock for `inherited_by_children`.

    wait_seconds: how long to wait for another process that holds it.

    Raises:
        WarehouseBusy: another process holds it.
        DataFolderError: the data folder cannot be written.
    """
    data = make_data_folder()
    with (data / LOCK).open("a+") as lock:
        _take(lock, data, wait_seconds)
        yield lock


@contextmanager
def inherited_by_children(lock: IO[str]) -> Iterator[None]:
    """Child processes started within the block hold the lock until they end.

    They inherit it as standard input, because Python closes all other files in children.
    """
    try:
        own = os.dup(_STANDARD_INPUT)
    except OSError:  # started without a standard input
        own = None
    os.dup2(lock.fileno(), _STANDARD_INPUT)
    try:
        yield
    finally:
        if own is None:
            os.close(_STANDARD_INPUT)
        else:
            os.dup2(own, _STANDARD_INPUT)
            os.close(own)


def is_held(data: Path) -> bool:
    """Whether a run or a child process of one holds the warehouse."""
    try:
        with (data / LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    return False


def _take(lock: IO[str], data: Path, wait_seconds: float) -> None:
    until = time.monotonic() + wait_seconds
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise WarehouseBusy(
                    f"Another run is using {data}: wait until it has finished, then run again."
                ) from None
            time.sleep(0.1)
