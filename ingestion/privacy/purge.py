"""Ends an erasure after its run has built and published: clears the warehouse's free space and older versions.

A deleted row stays in the blocks of a DuckDB file until they are overwritten, so the file is written again from its
tables. That reads the whole warehouse; the cost of every other step depends on what is erased.
"""

import os
from collections.abc import Callable
from pathlib import Path

import duckdb

from ingestion.data_folder import warehouse_file
from ingestion.landing import sync_folder
from ingestion.privacy.requests import DONE, ERASED, read_requests, write_request
from ingestion.warehouse_connection import connect


def purge(data: Path, remove_old_versions: Callable[[], None]) -> int:
    """Finish the erasures whose rows are gone; returns how many.

    Args:
        remove_old_versions: removes every published version except the current one.
    """
    erased = [request for request in read_requests(data) if request.status == ERASED]
    if erased:
        compact(warehouse_file(data))
        remove_old_versions()
    for request in erased:
        request.status = DONE
        write_request(data, request)
    return len(erased)


def compact(warehouse: Path) -> None:
    """Rewrite the warehouse's file without free blocks and deleted rows."""
    compacted = warehouse.with_suffix(".compacted")
    compacted.unlink(missing_ok=True)
    with connect(warehouse) as connection:
        connection.execute("checkpoint")  # a leftover write-ahead log would be applied to the new file
    with duckdb.connect() as connection:
        connection.execute(f"attach '{warehouse}' as former (read_only)")
        connection.execute(f"attach '{compacted}' as warehouse")  # the name that views use
        connection.execute("copy from database former to warehouse")
    with compacted.open("rb") as written:
        os.fsync(written.fileno())
    compacted.replace(warehouse)
    sync_folder(warehouse.parent)
