"""How DuckDB works here: in as much memory as PIXELNOVA_MEMORY allows, in no particular order, and patiently."""

import os
import time

import duckdb

MEMORY_VARIABLE = "PIXELNOVA_MEMORY"
WAIT_SECONDS = 60.0  # somebody else may read the warehouse, and DuckDB then refuses to write it


def connect(database: str = ":memory:") -> duckdb.DuckDBPyConnection:
    """Open a database; what does not fit into memory goes to disk."""
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
