"""The commands `privacy …`: erase people, export their data, list requests, search for personal data.

Reads shops.toml and the data folder; writes requests, which a refresh carries out like those from Shopify's webhooks.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from orchestration.cli.terminal import console, progress_bar, say, short
from orchestration.errors import OrchestrationError
from orchestration.settings import data_folder, make_data_folder, shops_file

if TYPE_CHECKING:
    from ingestion.privacy.identifiers import Identifier

ShopOption = Annotated[str, typer.Option("--shop", help="The store's domain, such as my-store.myshopify.com.")]
CustomerOption = Annotated[str | None, typer.Option("--customer", help="Shopify's id of the customer.")]
ClientOption = Annotated[str | None, typer.Option("--client", help="The clientId of a browser.")]
OrderOption = Annotated[str | None, typer.Option("--order", help="Shopify's id of an order.")]


class SubjectMissing(OrchestrationError):
    """The options select no subject, or several; the message says which to use."""

    exit_code = 2


class NoData(OrchestrationError):
    """There is no data folder."""


def erase(
    shop: ShopOption,
    customer: CustomerOption = None,
    client: ClientOption = None,
    order: OrderOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Erase all data of the store.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation of --all.")] = False,
) -> None:
    """Erase a person, or a whole store, from tables, files and published versions, and block later data about them."""
    from ingestion.privacy.requests import ERASE, new_request, read_requests
    from orchestration.cli.refresh import NotAllFetched, run_refresh

    subject = _subject(shop, customer, client, order, everything)
    if everything and not yes:
        typer.confirm(f"Erase all data of {shop}? This cannot be undone.", abort=True)
    request = new_request(make_data_folder(), shop, ERASE, subject, whole_shop=everything)
    not_fetched = None
    try:
        run_refresh()
    except NotAllFetched as error:  # after the erasure
        not_fetched = error
    [done] = [one for one in read_requests(data_folder()) if one.request_id == request.request_id]
    names = {"events": "event", "clients": "browser", "tokens": "checkout", "customers": "customer", "orders": "order"}
    found = [(done.counts[kind], name) for kind, name in names.items() if done.counts.get(kind)]
    counts = ", ".join(f"{count:,} {name}{'s' * (count != 1)}" for count, name in found)
    what = counts or ("everything" if everything else "nothing (there was no data)")
    say(f"Erased: {what}. Request {done.request_id}.")
    if not_fetched is not None:
        raise not_fetched


def export(
    shop: ShopOption, customer: CustomerOption = None, client: ClientOption = None, order: OrderOption = None
) -> None:
    """Write all data held about a person into a folder, as JSON and CSV with a readme."""
    from ingestion.privacy.export import export_pending, exports_folder
    from ingestion.privacy.requests import EXPORT, new_request
    from orchestration.warehouse_lock import warehouse_lock

    subject = _subject(shop, customer, client, order, everything=False)
    with warehouse_lock():
        request = new_request(data_folder(), shop, EXPORT, subject)
        export_pending(data_folder())
    say(f"Wrote {short(exports_folder(data_folder()) / request.request_id)}: send it, then delete it.")


def requests() -> None:
    """List the privacy requests from Shopify and from the operator, with their deadlines."""
    from ingestion.privacy.requests import read_requests, waiting_webhooks

    table = Table("store", "topic", "received", "due", "status", "detail")
    for one in read_requests(data_folder()):
        moments = [f"{moment:%Y-%m-%d %H:%M}" for moment in (one.requested_at, one.due_at)]
        table.add_row(one.shop, one.topic, *moments, one.status, escape(one.detail or ""))
    console.print(table)
    waiting = len(waiting_webhooks(data_folder()))
    if waiting:
        say(f"Waiting for the next refresh: {waiting:,} more.")


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
        say(f"No personal data in {short(data)}.")
        return
    table = Table("Location", "Kind", "Count", "Example")
    for hit in hits:
        table.add_row(escape(hit.where), hit.kind, f"{hit.count:,}", escape(hit.example))
    console.print(table)
    raise typer.Exit(1)


def _subject(
    shop: str, customer: str | None, client: str | None, order: str | None, everything: bool
) -> "list[Identifier]":
    from ingestion.privacy.identifiers import CLIENT, CUSTOMER, ORDER, identifier
    from ingestion.shops import find_shop, load_shops

    find_shop(load_shops(shops_file()), shop)
    given = {CUSTOMER: customer, CLIENT: client, ORDER: order}
    stated = [(kind, value) for kind, value in given.items() if value is not None]
    if len(stated) + everything != 1:
        raise SubjectMissing("Use one of --customer, --client, --order (or --all, to erase all data of the store).")
    found = [identifier(kind, value) for kind, value in stated]
    if None in found:
        raise SubjectMissing(f"{stated[0][1]!r} is not an id.")
    return [one for one in found if one]
