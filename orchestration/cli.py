"""The `pixelnova` command: what a person, a shell script or cron can ask for.

Arguments flow in; exit code 0 means done, 1 that it could not be done (one sentence says why), 2 a wrong argument, 130
that it was interrupted.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from ingestion.collector.server import CannotListen, serve
from ingestion.landing import keep_files_private, open_files, sealed_files
from ingestion.pixel.packaging import PackagingError, custom_pixel, write_app_pixel
from ingestion.recordings import RecordingError, recorded_posts
from ingestion.sender import Post, SendError, Sent, send
from ingestion.shops import Shop, ShopsFileError, find_shop, load_shops
from orchestration.dbt_manifest import DbtProjectError
from orchestration.processes import ChildFailed, collector_counts, run_together, running_collector
from orchestration.runner import Refreshed, RefreshFailed, RefreshInterrupted
from orchestration.settings import (
    DAGSTER_VARIABLE,
    DATA_VARIABLE,
    EXECUTABLES,
    PROJECT_ROOT,
    SHOPS_VARIABLE,
    DataFolderError,
    data_folder,
    shops_file,
)
from orchestration.warehouse_lock import WarehouseBusy, warehouse_lock

if TYPE_CHECKING:  # the simulator is for the demo and for tests, and is loaded by these only
    from ingestion.simulator.shoppers import Simulation

DEMO_SHOP = "pixelnova-demo.myshopify.com"
DEMO_TOKEN = "demo-token-of-the-stand-in"
COLLECTOR_PORT, API_PORT, SHOP_PORT = 8787, 8788, 8789


class NotAllAccepted(Exception):
    """Some events were sent in vain; the message says how many."""


class NotAllFetched(Exception):
    """Some shop's catalogue or orders could not be fetched; the message says why, and that the rest is done."""


class NotConnected(Exception):
    """Some part of a store's connection failed; the findings were printed, the message says how many failed."""


app = typer.Typer(
    help="What do shoppers in my Shopify store do, and what should they see next?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
connect = typer.Typer(help="Connect a store of your own.", no_args_is_help=True)
app.add_typer(connect, name="connect")
console = Console()

Seed = Annotated[int, typer.Option(help="Same seed and end, same store and shoppers.")]
End = Annotated[
    datetime | None,
    typer.Option(help="When the simulated days end, UTC; now by default.", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
]
Days = Annotated[int, typer.Option(min=1, max=365, help="How many days are simulated.")]
Url = Annotated[
    str | None, typer.Option(help="Send to this running collector; by default one is started for as long as it takes.")
]


@app.callback()
def options(
    data: Annotated[
        Path | None, typer.Option(envvar=DATA_VARIABLE, help="Data folder; default: data/ of the project.")
    ] = None,
    shops: Annotated[
        Path | None, typer.Option(envvar=SHOPS_VARIABLE, help="Stores; default: shops.toml of the project.")
    ] = None,
) -> None:
    """Options of every command. They go into the environment, where child processes find them too."""
    keep_files_private()
    if data is not None:
        os.environ[DATA_VARIABLE] = str(data.resolve())
    if shops is not None:
        os.environ[SHOPS_VARIABLE] = str(shops.resolve())
    os.environ[DAGSTER_VARIABLE] = str(data_folder() / "dagster")


@app.command()
def demo(
    seed: Seed = 1,
    end: End = None,
    days: Days = 30,
    storefront: Annotated[
        bool, typer.Option("--storefront", help="Then open the shop: pages with pixel and lists, until Ctrl-C.")
    ] = False,
) -> None:
    """Simulate a store, collect its events, load, build, publish, and show what came of it."""
    from ingestion.simulator.admin_api import AdminApi, Bucket, running_admin_api
    from ingestion.simulator.admin_store import AdminStore
    from ingestion.simulator.catalogue import build_catalogue
    from ingestion.sources.shopify_api import URL_VARIABLE
    from ingestion.sources.shopify_token import token_variable

    if storefront:
        _need_ports()
    shop = find_shop(load_shops(shops_file()), DEMO_SHOP)
    with running_collector() as url:
        simulation = _simulate(shop, seed, end, days)
        _send_simulation(url, shop, simulation)
        counts = collector_counts(url)
    stored, refused = counts["stored"], counts["consent_refused"]
    console.print(f"The collector stored {stored:,} of them; {refused:,} came without consent and were only counted.")
    store = AdminStore(shop.domain, build_catalogue(seed), simulation.orders)
    plus = Bucket(maximum=20_000, restore_rate=1000)  # what Shopify allows a shop on its plan Plus
    with running_admin_api(AdminApi(store, DEMO_TOKEN, plus)) as api_url:
        os.environ |= {URL_VARIABLE: api_url, token_variable(shop.domain): DEMO_TOKEN}
        refreshed = _refresh()
    _print_summary(refreshed)
    console.print(
        "\nNext: [bold]pixelnova status[/bold] · [bold]make dev[/bold] for Dagster's graph · "
        f"analysts: {_relative(data_folder() / 'published' / 'current' / 'pixelnova.duckdb')}",
        soft_wrap=True,
    )
    if storefront:
        raise typer.Exit(_run_storefront())


@app.command()
def simulate(
    seed: Seed = 1,
    end: End = None,
    days: Days = 30,
    url: Url = None,
    shop: Annotated[str, typer.Option(help="The store to send as.")] = DEMO_SHOP,
) -> None:
    """Send a simulated store's events to the collector; `refresh` then loads them."""
    found = find_shop(load_shops(shops_file()), shop)
    with _collector(url) as collector_url:
        _send_simulation(collector_url, found, _simulate(found, seed, end, days))


@app.command()
def collect(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = COLLECTOR_PORT,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that share the port.")] = 1,
    requests_per_second: Annotated[
        float, typer.Option(min=0, help="What one address may send per ingest key, to each worker; 0 is unlimited.")
    ] = 50.0,
) -> None:
    """Receive pixel events and webhooks and append them to landing files, until Ctrl-C."""
    serve(host, port, shops_file(), data_folder(), workers, requests_per_second)


@app.command()
def replay(
    files: Annotated[
        list[Path], typer.Argument(help="JSON or JSONL: events, arrays of events, or envelopes; - for standard input.")
    ],
    url: Url = None,
    shop: Annotated[
        str | None, typer.Option(help="The store that bare events belong to; default: the first of shops.toml.")
    ] = None,
) -> None:
    """Send recorded events through the collector; `refresh` then loads them."""
    shops = load_shops(shops_file())
    default_shop = find_shop(shops, shop) if shop else shops[0]
    posts = list(recorded_posts(files, shops, default_shop))
    with _collector(url) as collector_url:
        sent = _send(collector_url, posts, "Replaying")
    if sent.rejected:
        raise NotAllAccepted(f"{len(sent.rejected):,} of {sent.events:,} events were rejected, for the reasons above.")


@app.command()
def refresh(
    full: Annotated[
        bool, typer.Option("--full", help="Load the whole landing archive again, and build every row anew.")
    ] = False,
) -> None:
    """Load what has landed and Shopify's catalogue, build what is new, publish."""
    _print_summary(_refresh(full))


@app.command()
def publish() -> None:
    """Publish the marts as they are, without loading or building."""
    from ingestion.data_folder import warehouse_file
    from serving.publish import publish

    with warehouse_lock():
        published = publish(warehouse_file(data_folder()), data_folder())
    console.print(f"Published {published.manifest.version} in {_relative(published.folder)}.")


@app.command()
def pixel(
    collector_url: Annotated[str, typer.Option(help="Where browsers reach the collector: https://…")],
    shop: Annotated[
        str | None, typer.Option(help="The store whose ingest key is used; default: the first of shops.toml.")
    ] = None,
) -> None:
    """Print the custom pixel to paste into Shopify's admin (Settings, Customer events)."""
    shops = load_shops(shops_file())
    found = find_shop(shops, shop) if shop else shops[0]
    sys.stdout.write(custom_pixel(collector_url, found.ingest_keys[0]))


@app.command()
def app_pixel(folder: Annotated[Path, typer.Argument(help="A folder that does not exist yet.")]) -> None:
    """Write the app pixel extension, to lie under extensions/ of a Shopify app."""
    console.print(f"Wrote {_relative(write_app_pixel(folder))}.")


@app.command()
def api(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = API_PORT,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that share the port.")] = 1,
    requests_per_second: Annotated[
        int, typer.Option(min=0, help="What one address may ask of each worker; 0 is unlimited.")
    ] = 50,
) -> None:
    """Answer with recommendations from the published files, until Ctrl-C."""
    from serving.api import serve as serve_api

    serve_api(host, port, data_folder(), workers, requests_per_second)


@app.command()
def storefront(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = SHOP_PORT,
    shop: Annotated[str, typer.Option(help="The store whose products are shown.")] = DEMO_SHOP,
    collector_url: Annotated[
        str, typer.Option(help="Where the pixel sends to.")
    ] = f"http://127.0.0.1:{COLLECTOR_PORT}",
    api_url: Annotated[str, typer.Option(help="Where lists come from.")] = f"http://127.0.0.1:{API_PORT}/v1",
) -> None:
    """Show a shop with the pixel and the lists at work, on this machine, until Ctrl-C; it is no Shopify."""
    from serving.demo_shop.server import serve_storefront

    found = find_shop(load_shops(shops_file()), shop)
    pixel = custom_pixel(collector_url, found.ingest_keys[0])
    serve_storefront("127.0.0.1", port, data_folder(), found.domain, pixel, api_url, collector_url)


@connect.command("check")
def connect_check(
    shop: Annotated[str, typer.Argument(help="The store: my-store.myshopify.com.")],
    collector_url: Annotated[
        str | None, typer.Option(help="Where browsers reach the collector, https://…; not asked by default.")
    ] = None,
) -> None:
    """Say of each part of a store's connection whether it works, and what to do where it does not."""
    from ingestion.connection import check_connection

    marks = {"ok": "[green]✓[/green]", "failed": "[red]✗[/red]", "unknown": "[yellow]?[/yellow]"}
    failed = 0
    for finding in check_connection(load_shops(shops_file()), shop, collector_url):
        failed += finding.verdict == "failed"
        console.print(f"{marks[finding.verdict]} [bold]{finding.part}[/bold]", Text(finding.found), soft_wrap=True)
        if finding.remedy:
            console.print(Text(f"    {finding.remedy}"), soft_wrap=True)
    if failed:
        raise NotConnected(f"{shop} is not connected: {failed} failed; do what is said above and run again.")


@app.command()
def dev() -> None:
    """Run the collector (port 8787) and Dagster's web server (port 3000) together, until Ctrl-C."""
    from orchestration.runner import prepare_dagster

    load_shops(shops_file())
    with console.status("Preparing Dagster"):
        prepare_dagster()
    collector = [sys.executable, "-m", "orchestration.cli", "collect"]
    dagster = [EXECUTABLES / "dg", "dev"]
    raise typer.Exit(run_together([collector, dagster], PROJECT_ROOT))


@app.command()
def status() -> None:
    """Say what waits, whether a run is at work, what was loaded last, rows per mart, and the published version."""
    from ingestion.data_folder import landing_folder
    from orchestration.status import status
    from orchestration.warehouse_lock import is_held
    from serving.published import NothingPublished, read_current

    landing = landing_folder(data_folder())
    waiting = {
        "Landing files waiting to be loaded": len(sealed_files(landing)),
        "Landing files still being written": len(open_files(landing)),
    }
    try:
        published = read_current(data_folder())
    except NothingPublished:
        published = None
    console.print(status(waiting, is_held(data_folder()), published))


def _need_ports() -> None:
    """A taken port is said before the minute of work, not after it."""
    from serving.listening import CannotListen, listen

    for port in (COLLECTOR_PORT, API_PORT, SHOP_PORT):
        try:
            listen("127.0.0.1", port).close()
        except CannotListen:
            raise CannotListen(
                f"The shop, its collector and its API need the ports {SHOP_PORT}, {COLLECTOR_PORT} and {API_PORT} of "
                f"127.0.0.1, and {port} is taken: end what uses it."
            ) from None


def _run_storefront() -> int:
    """The collector, the read API and the shop together; the exit code of the one that ended first."""
    command = [sys.executable, "-m", "orchestration.cli"]
    return run_together([[*command, name] for name in ("collect", "api", "storefront")], PROJECT_ROOT)


@contextmanager
def _collector(url: str | None) -> Iterator[str]:
    if url:
        yield url
    else:
        with running_collector() as started:
            yield started


def _simulate(shop: Shop, seed: int, end: datetime | None, days: int) -> "Simulation":
    from ingestion.simulator.catalogue import build_catalogue
    from ingestion.simulator.shoppers import simulate

    until = datetime.now(UTC) if end is None else end.replace(tzinfo=UTC)
    with console.status("Simulating shoppers"):
        return simulate(shop, build_catalogue(seed), seed, until, days)


def _send_simulation(url: str, shop: Shop, simulation: "Simulation") -> Sent:
    import msgspec

    posts = [
        Post(shop.ingest_keys[0], msgspec.json.encode(delivery.body), len(delivery.events))
        for delivery in simulation.deliveries
    ]
    return _send(url, posts, "Sending")


def _send(url: str, posts: list[Post], what: str) -> Sent:
    with _progress() as progress:
        task = progress.add_task(f"{what} events", total=sum(post.events for post in posts))
        sent = send(url, posts, lambda events: progress.advance(task, events))
    console.print(f"Sent {sent.events:,} events, of which {len(sent.rejected):,} were rejected.")
    for reason in sorted(set(sent.rejected))[:10]:
        console.print(f"  rejected: {reason}", markup=False)
    return sent


def _refresh(full: bool = False) -> Refreshed:
    from ingestion.sources.catalogue_files import catalogue_files
    from ingestion.sources.shopify_api import admin_apis
    from orchestration import runner
    from orchestration.failed_fetches import failed_fetches

    with _progress() as progress:
        task = progress.add_task("Preparing", total=None)
        refreshed = runner.refresh(
            on_plan=lambda assets: progress.update(task, description="Refreshing", total=assets),
            on_asset=lambda name: progress.update(task, description=name, advance=1),
            on_word=lambda word: progress.update(task, description=word),
            full=full,
        )
        progress.update(task, description="Refreshed")
    shops = load_shops(shops_file())
    failed = failed_fetches(
        data_folder(),
        of_admin_api=[api.shop for api in admin_apis(shops)],
        of_files=[file.shop for file in catalogue_files(shops, shops_file().parent)],
    )
    if failed:
        said = sorted({failure.error for failure in failed})
        raise NotAllFetched(f"Everything else was refreshed and published, but: {' '.join(said)}")
    return refreshed


def _print_summary(refreshed: Refreshed) -> None:
    from orchestration.summary import summary
    from serving.published import read_current

    published = read_current(data_folder())
    if not refreshed.is_news:
        console.print(
            f"Nothing has changed since version {published.manifest.version}, so nothing was built; "
            "`--full` builds everything all the same."
        )
        return
    console.print(summary(published, refreshed.warnings))
    console.print(f"Published {published.manifest.version} in {_relative(published.folder)}.")


def _progress() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        redirect_stdout=False,
        redirect_stderr=False,
    )


def _relative(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def main() -> None:
    """Run the command; what a user can mend is said in one sentence, everything else with its traceback."""
    try:
        app()
    except RefreshInterrupted as interrupted:
        Console(stderr=True).print(f"pixelnova: {interrupted}", soft_wrap=True)
        sys.exit(130)
    except Exception as error:
        known = _known(error)
        if known is None:
            raise
        said = Text.assemble(("pixelnova:", "red"), f" {known}")
        Console(stderr=True).print(said, soft_wrap=True)
        sys.exit(1)


def _known(error: BaseException | None) -> BaseException | None:
    """The innermost error with a sentence of its own: Dagster and dlt wrap what happens inside a step."""
    from ingestion.warehouse_connection import WarehouseInUse
    from orchestration.disk_space import causes, disk_full
    from serving.errors import ServingError

    with_sentence = (
        CannotListen,
        ChildFailed,
        DataFolderError,
        DbtProjectError,
        NotAllAccepted,
        NotAllFetched,
        NotConnected,
        PackagingError,
        RecordingError,
        RefreshFailed,
        SendError,
        ServingError,
        ShopsFileError,
        WarehouseBusy,
        WarehouseInUse,
    )
    found = disk_full(error, data_folder())
    if found is not None:
        return found
    for one in causes(error):
        if isinstance(one, with_sentence):
            found = one
    return found


if __name__ == "__main__":
    main()
