"""The lock that makes a run the only holder of the warehouse: DuckDB lets one process write.

The kernel lets go of it when the process ends, however it ends, so a killed run blocks nobody.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from orchestration.settings import make_data_folder

LOCK = "warehouse.lock"


class WarehouseBusy(Exception):
    """Another run holds the warehouse; the message names the remedy."""


@contextmanager
def warehouse_lock() -> Iterator[None]:
    """Hold the warehouse for as long as the block runs.

    Raises:
        WarehouseBusy: another process holds it.
        DataFolderError: the data folder cannot be written.
    """
    data = make_data_folder()
    with (data / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise WarehouseBusy(f"Another run is at work on {data}: wait until it has ended, and run again.") from None
        yield
