"""DuckDB connections: the memory limit of PIXELNOVA_MEMORY, no insertion order, and retries while the file is locked.

Takes a database path; returns a configured connection.
"""

import os
import time

import duckdb

MEMORY_VARIABLE = "PIXELNOVA_MEMORY"
WAIT_SECONDS = 60.0  # DuckDB cannot open a file for writing while another process reads it


def connect(database: str = ":memory:") -> duckdb.DuckDBPyConnection:
    """Open a database; data that does not fit into memory spills to disk."""
    connection = _open(database)
    connection.execute("set preserve_insertion_order = false")
    if memory := os.environ.get(MEMORY_VARIABLE):
        connection.execute(f"set memory_limit = '{memory}'")
    return connection


def _open(database: str) -> duckdb.DuckDBPyConnection:
    until = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            return duckdb.connect(database)
        except duckdb.IOException as error:
            if "Could not set lock" not in str(error) or time.monotonic() >= until:
                raise
            time.sleep(0.25)
