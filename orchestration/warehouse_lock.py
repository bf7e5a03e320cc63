"""The lock that makes a run the only holder of the warehouse: DuckDB lets one process write.

The kernel releases it when the last process that holds it has ended, however it ended. A run's child processes hold it
too: after a kill of the run alone, dbt goes on writing for a while.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from orchestration.settings import make_data_folder

LOCK = "warehouse.lock"
WAIT_SECONDS = 5.0  # what a run that has ended leaves behind is gone by then
_STANDARD_INPUT = 0


class WarehouseBusy(Exception):
    """Another run holds the warehouse; the message names the remedy."""


@contextmanager
def warehouse_lock() -> Iterator[None]:
    """Hold the warehouse for as long as the block and the processes that it starts run.

    Raises:
        WarehouseBusy: another process holds it.
        DataFolderError: the data folder cannot be written.
    """
    data = make_data_folder()
    with (data / LOCK).open("a+") as lock:
        _take(lock, data)
        with _inherited(lock):
            yield


def is_held(data: Path) -> bool:
    """Whether a run, or what is left of one, holds the warehouse."""
    try:
        with (data / LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    return False


def _take(lock: IO[str], data: Path) -> None:
    until = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise WarehouseBusy(
                    f"Another run is at work on {data}: wait until it has ended, and run again."
                ) from None
            time.sleep(0.1)


@contextmanager
def _inherited(lock: IO[str]) -> Iterator[None]:
    """Let every child process inherit the lock, as its standard input: Python closes all other files in children."""
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
