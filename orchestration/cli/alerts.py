"""The commands `alerts …`: check the alert conditions, and report new and resolved problems."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.text import Text

from orchestration.cli.terminal import console
from orchestration.settings import data_folder, make_data_folder, shops_file


def check(
    test: Annotated[bool, typer.Option("--test", help="Send a test message to PIXELNOVA_ALERTS instead.")] = False,
) -> None:
    """Print current problems, and send alerts about new and resolved ones. Run it every few minutes."""
    from orchestration.alerts import URLS_VARIABLE, Notification, senders
    from orchestration.channels import ChannelError
    from orchestration.health_report import report_health

    if test:
        channels = senders()
        if not channels:
            raise ChannelError(f"{URLS_VARIABLE} is not set: set it to the apprise URLs of your channels.")
        failed = None
        for send in channels.values():
            try:
                send(Notification("Pixelnova: test message", "Alerts are configured correctly.", is_bad=False))
            except ChannelError as error:
                failed = error
        if failed is not None:
            raise failed
        console.print("Test message sent.")
        return
    make_data_folder()
    found = report_health(data_folder(), shops_file(), datetime.now(UTC))
    for problem in found:
        console.print("[red]✗[/red]", Text(problem.what), soft_wrap=True)
        console.print(Text(f"    {problem.remedy}"), soft_wrap=True)
    if not found:
        console.print("No problems found.")
