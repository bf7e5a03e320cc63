"""What waits, what is at work and what there is, on the terminal.

Reads the published version only: a reader of the warehouse would keep a run from writing it.
"""

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from serving.published import Published


def status(waiting: dict[str, int], at_work: bool, published: Published | None) -> RenderableType:
    """Landing files that wait, whether a run is at work, and of the published version the last load and the rows."""
    table = Table(title="Status", show_header=False, title_justify="left")
    for what, count in waiting.items():
        table.add_row(what, f"{count:,}")
    table.add_row("Run at work", "yes" if at_work else "no")
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
