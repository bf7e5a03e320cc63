"""Recognizes a damaged warehouse before a refresh uses it, and puts it aside for a rebuild.

Reads the file's size and its headers, not its tables; moves warehouse.duckdb to warehouse.duckdb.damaged.
"""

from pathlib import Path

import duckdb

from ingestion.errors import IngestionError
from ingestion.warehouse_connection import connect

_HEADER_BYTES = 3 * 4096  # before the first block
# What DuckDB says of a damaged file. Blocks have checksums, so any other error has another cause.
_DAMAGE = ("not a valid DuckDB database", "Could not read enough bytes", "Corrupt database file")


class WarehouseDamaged(IngestionError):
    """The file is truncated, or is not a DuckDB database; the message names the remedy."""


class WarehouseUnusable(IngestionError):
    """The file cannot be opened, but nothing shows that it is damaged; the message has the reason."""


def check_warehouse(warehouse: Path) -> None:
    """Check that the file can be opened and has the blocks of all tables; a missing file is not damaged.

    Raises:
        WarehouseDamaged: it is damaged.
        WarehouseUnusable: it cannot be opened for another reason, such as missing permission or memory.
        WarehouseInUse: another process kept it open.
    """
    if not warehouse.exists():
        return
    try:
        with connect(warehouse) as connection:
            [(blocks, block_bytes)] = connection.execute(
                "select total_blocks, block_size from pragma_database_size()"
            ).fetchall()
            present = warehouse.stat().st_size  # closing it may make it smaller
            expected = _HEADER_BYTES + blocks * block_bytes
            if present < expected:  # damaged, unless only free blocks are missing, which are written when they are used
                expected = _HEADER_BYTES + (_last_block(connection) + 1) * block_bytes
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        if any(text in reason for text in _DAMAGE):
            raise _damaged(warehouse, reason) from error
        raise WarehouseUnusable(
            f"{warehouse} cannot be opened ({reason}). The file does not seem damaged and stays as it is: remove the "
            "cause, such as a missing permission or too little memory, and run again."
        ) from error
    if present < expected:
        raise _damaged(warehouse, f"it has {present:,} of {expected:,} bytes")


def _last_block(connection: duckdb.DuckDBPyConnection) -> int:
    """The number of the last block that a table uses, from 0; -1 without tables."""
    tables = connection.execute("select format('{}.\"{}\"', schema_name, table_name) from duckdb_tables()").fetchall()
    blocks = [
        connection.execute(
            "select greatest(max(block_id), max(list_max(additional_block_ids))) from pragma_storage_info($table)",
            {"table": table},
        ).fetchone()[0]
        for (table,) in tables
    ]
    return max((block for block in blocks if block is not None), default=-1)


def put_aside_if_damaged(warehouse: Path) -> Path | None:
    """Move a damaged file aside, replacing one moved before; returns its new path."""
    try:
        check_warehouse(warehouse)
    except WarehouseDamaged:
        aside = warehouse.with_name(f"{warehouse.name}.damaged")
        warehouse.with_name(f"{warehouse.name}.wal").unlink(missing_ok=True)  # changes to the damaged file
        return warehouse.replace(aside)
    return None


def _damaged(warehouse: Path, reason: str) -> WarehouseDamaged:
    return WarehouseDamaged(
        f"{warehouse} is damaged ({reason}). Run `pixelnova refresh --full`: it moves the file to "
        f"{warehouse.name}.damaged and rebuilds everything, from the landing archive and from Shopify. "
        "Or restore a backup, which also has the history of prices and of deleted products. The published version is "
        "unchanged."
    )
