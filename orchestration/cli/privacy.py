"""The commands `privacy …`: find personal data in the data folder.

Read the data folder while no run writes to it; print a table and, if asked, write a JSON file.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from orchestration.cli.terminal import console, progress_bar, short
from orchestration.errors import OrchestrationError
from orchestration.settings import data_folder


class NoData(OrchestrationError):
    """There is no data folder."""


def scan(
    json: Annotated[Path | None, typer.Option(help="Also write what was found to this file, as JSON.")] = None,
) -> None:
    """Search the data folder for e-mail and IP addresses, phone, card and account numbers and access tokens.

    Exit code 0 if there are none, 1 if there are. Values are shown masked.
    """
    from ingestion.privacy.scan import files_of, write_report
    from ingestion.privacy.scan import scan as scan_data
    from orchestration.warehouse_lock import warehouse_lock

    data = data_folder()
    if not data.is_dir():
        raise NoData(f"{data} does not exist: choose the data folder with --data.")
    with warehouse_lock(), progress_bar() as progress:
        task = progress.add_task("Searching", total=len(files_of(data)))
        hits = scan_data(data, on_file=lambda file: progress.advance(task))
    if json is not None:
        write_report(json, hits)
    if not hits:
        console.print(f"No personal data in {escape(str(short(data)))}.")
        return
    table = Table("Where", "What", "How often", "Example")
    for hit in hits:
        table.add_row(escape(hit.where), hit.kind, f"{hit.count:,}", escape(hit.example))
    console.print(table)
    raise typer.Exit(1)
