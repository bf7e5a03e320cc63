"""Compares two published versions table by table, row by row."""

from pathlib import Path

import duckdb

from serving.published import ANALYTICS, Published


def differing_tables(one: Published, other: Published, without: dict[str, list[str]] | None = None) -> dict[str, int]:
    """How many rows of each table stand in only one of the versions; equal tables are left out.

    Args:
        without: columns by table that are not compared.
    """
    assert one.manifest.rows_by_table.keys() == other.manifest.rows_by_table.keys()
    with duckdb.connect() as connection:
        for name, published in (("one", one), ("other", other)):
            connection.execute(f"attach '{published.folder / ANALYTICS}' as {name} (read_only)")
        found = {}
        for table in one.manifest.rows_by_table:
            name = table.replace(f"{Path(ANALYTICS).stem}.", "main.")
            left_out = (without or {}).get(table, [])
            columns = f"* exclude ({', '.join(left_out)})" if left_out else "*"
            [(rows,)] = connection.execute(
                f"""
                select count(*) from (
                    (select {columns} from one.{name} except all select {columns} from other.{name})
                    union all
                    (select {columns} from other.{name} except all select {columns} from one.{name})
                )
                """
            ).fetchall()
            if rows:
                found[table] = rows
        return found
