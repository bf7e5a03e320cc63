"""Compares two published versions: their tables row by row, and their other files."""

import filecmp
import re
from collections.abc import Iterator
from pathlib import Path

import duckdb

from serving.manifest import MANIFEST
from serving.published import ANALYSTS_FILE, Published, read_current


def differing_tables(one: Published, other: Published, without: dict[str, list[str]] | None = None) -> dict[str, int]:
    """The number of rows per table that are in only one of the versions; equal tables are omitted.

    Args:
        without: columns to ignore, by table.
    """
    assert one.manifest.rows_by_table.keys() == other.manifest.rows_by_table.keys()
    with duckdb.connect() as connection:
        for name, published in (("one", one), ("other", other)):
            connection.execute(f"attach '{published.folder / ANALYSTS_FILE}' as {name} (read_only)")
        found = {}
        for table in one.manifest.rows_by_table:
            left_out = (without or {}).get(table, [])
            columns = f"* exclude ({', '.join(left_out)})" if left_out else "*"
            [(rows,)] = connection.execute(
                f"""
                select count(*) from (
                    (select {columns} from one.{table} except all select {columns} from other.{table})
                    union all
                    (select {columns} from other.{table} except all select {columns} from one.{table})
                )
                """
            ).fetchall()
            if rows:
                found[table] = rows
        return found


def differing_files(left: Path, right: Path) -> Iterator[str]:
    """Published files that differ between data folders by more than the version's name.

    Skips the manifest and the DuckDB file, whose tables `differing_tables` compares.
    """
    left, right = read_current(left).folder, read_current(right).folder
    names = {str(path.relative_to(folder)) for folder in (left, right) for path in folder.rglob("*") if path.is_file()}
    for name in sorted(names - {ANALYSTS_FILE, MANIFEST}):
        one, other = left / name, right / name
        if not (one.exists() and other.exists()) or (
            not filecmp.cmp(one, other, shallow=False) and _without_version(one) != _without_version(other)
        ):
            yield name


def _without_version(file: Path) -> bytes:
    return re.sub(rb"\d{8}T\d{6}\.\d{3}Z", b"VERSION", file.read_bytes())
