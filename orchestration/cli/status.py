"""The tables of `pixelnova status`.

Reads the published version only: a reader of the warehouse would block a run from writing it.
"""

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from serving.published import Published


def status_tables(waiting: dict[str, int], is_active: bool, published: Published | None) -> RenderableType:
    """Landing files waiting, whether a run is active, the last load, the published version and its rows per mart."""
    table = Table(title="Status", show_header=False, title_justify="left")
    for name, count in waiting.items():
        table.add_row(name, f"{count:,}")
    table.add_row("Run in progress", "yes" if is_active else "no")
    if published is None:
        table.add_row("Last load", "never")
        table.add_row("Published version", "none; run `pixelnova refresh`")
        return table
    with published.connect() as connection:
        load = connection.execute(
            "select loaded_at, events from operations.loads order by loaded_at desc limit 1"
        ).fetchone()
    table.add_row("Last load", f"{load[0]:%Y-%m-%d %H:%M:%S} UTC, {load[1]:,} events" if load else "never")
    table.add_row("Published version", f"{published.manifest.version}  ({escape(str(published.folder))})")
    marts = Table(title="Rows per mart", show_header=False, title_justify="left")
    for name, rows in sorted(published.manifest.rows_by_table.items()):
        marts.add_row(name, f"{rows:,}")
    return Group(table, marts)
