"""The lock that makes a run the only holder of the warehouse: DuckDB lets one process write.

The kernel releases it when the last process that holds it has ended, however it ended. dbt, a child process of the run,
holds it too: after a kill of the run alone it goes on writing for a while.
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
def warehouse_lock() -> Iterator[IO[str]]:
    """Hold the warehouse for as long as the block runs; the lock is for `inherited_by_children`.

    Raises:
        WarehouseBusy: another process holds it.
        DataFolderError: the data folder cannot be written.
    """
    data = make_data_folder()
    with (data / LOCK).open("a+") as lock:
        _take(lock, data)
        yield lock


@contextmanager
def inherited_by_children(lock: IO[str]) -> Iterator[None]:
    """Child processes that are started within the block hold the lock until they end.

    It is their standard input: Python closes all other files in children.
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
