"""The commands `connect …`: check whether a store is connected, part by part."""

from typing import Annotated

import typer

from orchestration.cli.terminal import print_finding
from orchestration.errors import OrchestrationError
from orchestration.settings import data_folder, shops_file


class NotConnected(OrchestrationError):
    """Part of a store's connection failed; the findings were printed, the message says how many failed."""


def check(
    shop: Annotated[str, typer.Argument(help="The store: my-store.myshopify.com.")],
    collector_url: Annotated[
        str | None, typer.Option(help="Public URL of the collector, https://…; default: do not check it.")
    ] = None,
) -> None:
    """Check every part of a store's connection, and print a remedy for each part that fails."""
    from ingestion.connection import check_connection
    from ingestion.privacy.requests import connected_again
    from ingestion.shops import load_shops

    failed = 0
    for finding in check_connection(load_shops(shops_file()), shop, collector_url):
        failed += finding.verdict == "failed"
        if (finding.verdict, finding.part) == ("ok", "token"):
            connected_again(data_folder(), shop)  # fetched again, if its app had been uninstalled
        print_finding(finding)
    if failed:
        checks = "1 check" if failed == 1 else f"{failed} checks"
        raise NotConnected(f"{shop} is not connected: {checks} failed. Follow the remedies above, then run this again.")
