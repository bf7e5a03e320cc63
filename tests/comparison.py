"""Compares two published versions table by table, row by row."""

import duckdb

from serving.published import ANALYSTS_FILE, Published


def differing_tables(one: Published, other: Published, without: dict[str, list[str]] | None = None) -> dict[str, int]:
    """The number of rows per table that are in only one of the versions; equal tables are omitted.

    Args:
        without: columns by table that are not compared.
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
