"""The command `report`: writes the weekly reports of shops, and sends them.

Reads the published version, writes data/reports.
"""

from datetime import UTC, datetime
from typing import Annotated

import typer

from orchestration.cli.terminal import say, short
from orchestration.settings import make_data_folder


def report(
    shop: Annotated[str | None, typer.Option(help="Domain of the shop; default: all shops.")] = None,
    week: Annotated[str | None, typer.Option(help="ISO week such as 2026-W47; default: last week.")] = None,
    send: Annotated[bool, typer.Option("--send", help="Send each report to its channels, once.")] = False,
) -> None:
    """Write the weekly report of each shop, as HTML and as text."""
    from orchestration.weekly_reports import VARIABLE, write_reports
    from serving.weekly_report import week_period

    period = week_period(week) if week else None
    for written in write_reports(make_data_folder(), datetime.now(UTC), shop, period, send):
        outcome = {"not sent": "", "no channel": f": not sent, {VARIABLE} is not set"}
        say(f"Wrote {short(written.file)}{outcome.get(written.outcome, f': {written.outcome}')}.")
