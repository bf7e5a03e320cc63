"""How DuckDB works here: in as much memory as PIXELNOVA_MEMORY allows, and in no order that nobody asked for."""

import os

import duckdb

MEMORY_VARIABLE = "PIXELNOVA_MEMORY"


def connect(database: str = ":memory:") -> duckdb.DuckDBPyConnection:
    """Open a database; what does not fit into memory goes to disk."""
    connection = duckdb.connect(database)
    connection.execute("set preserve_insertion_order = false")
    if memory := os.environ.get(MEMORY_VARIABLE):
        connection.execute(f"set memory_limit = '{memory}'")
    return connection
