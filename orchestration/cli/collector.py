"""Commands for the collector: run it, send events to it, and write the pixel that sends them.

Reads shops.toml and recordings, writes landing files through the collector.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ingestion.shops import Shop, find_shop, load_shops
from orchestration.cli.arguments import (
    COLLECTOR_PORT,
    DEMO_SHOP,
    CollectorUrl,
    Days,
    End,
    Host,
    Port,
    Seed,
    Workers,
    chosen_shop,
)
from orchestration.cli.terminal import console, progress_bar, say, short
from orchestration.errors import OrchestrationError
from orchestration.settings import data_folder, shops_file

if TYPE_CHECKING:  # slow to import, and the simulator is for the demo and for tests only
    from ingestion.sender import Post, Sent
    from ingestion.simulator.shoppers import Simulation


class NotAllAccepted(OrchestrationError):
    """The collector rejected some events; the message says how many."""


def collect(
    host: Host = "127.0.0.1",
    port: Port = COLLECTOR_PORT,
    workers: Workers = 1,
    requests_per_second: Annotated[
        float, typer.Option(min=0, help="Limit per address, ingest key and worker; 0 means unlimited.")
    ] = 50.0,
) -> None:
    """Receive pixel events and webhooks and append them to landing files, until Ctrl-C."""
    from ingestion.collector.server import serve
    from orchestration.log_files import server_logging

    log_config = server_logging(data_folder(), "collector")
    serve(host, port, shops_file(), data_folder(), workers, requests_per_second, log_config)


def simulate(
    seed: Seed = 1,
    end: End = None,
    days: Days = 30,
    url: CollectorUrl = None,
    shop: Annotated[str, typer.Option(help="The store that the events belong to.")] = DEMO_SHOP,
) -> None:
    """Send the events of a simulated store to the collector; `refresh` then loads them."""
    found = chosen_shop(shop)
    with _collector(url) as collector_url:
        send_simulation(collector_url, found, simulation(found, seed, end, days))


def replay(
    files: Annotated[
        list[Path], typer.Argument(help="JSON or JSONL: events, arrays of events, or envelopes; - for standard input.")
    ],
    url: CollectorUrl = None,
    shop: Annotated[
        str | None, typer.Option(help="The store for events without an envelope; default: the first in shops.toml.")
    ] = None,
) -> None:
    """Send recorded events to the collector; `refresh` then loads them."""
    from ingestion.recordings import recorded_posts

    shops = load_shops(shops_file())
    default_shop = find_shop(shops, shop) if shop else shops[0]
    posts = list(recorded_posts(files, shops, default_shop))
    with _collector(url) as collector_url:
        sent = _send(collector_url, posts, "Replaying")
    if sent.rejected:
        raise NotAllAccepted(
            f"{len(sent.rejected):,} of {sent.events:,} events were rejected for the reasons above; fix them, then "
            "send them again."
        )


def pixel(
    collector_url: Annotated[str, typer.Option(help="Public URL of the collector: https://…")],
    shop: Annotated[
        str | None, typer.Option(help="The store whose ingest key to use; default: the first in shops.toml.")
    ] = None,
) -> None:
    """Print the custom pixel, to paste into Shopify's admin (Settings, Customer events)."""
    from ingestion.pixel.packaging import custom_pixel

    sys.stdout.write(custom_pixel(collector_url, chosen_shop(shop).ingest_keys[0]))


def app_pixel(folder: Annotated[Path, typer.Argument(help="Folder to create.")]) -> None:
    """Write the app pixel extension; it belongs under extensions/ of a Shopify app."""
    from ingestion.pixel.packaging import write_app_pixel

    say(f"Wrote {short(write_app_pixel(folder))}.")


def simulation(shop: Shop, seed: int, end: datetime | None, days: int) -> "Simulation":
    """The simulated store's events and orders."""
    from ingestion.experiments import experiments_file, load_experiments
    from ingestion.simulator.catalogue import build_catalogue
    from ingestion.simulator.shoppers import simulate

    until = datetime.now(UTC) if end is None else end.replace(tzinfo=UTC)
    with console.status("Simulating shoppers"):
        experiments = load_experiments(experiments_file(shops_file()), load_shops(shops_file()))
        return simulate(shop, build_catalogue(seed), seed, until, days, experiments)


def send_simulation(url: str, shop: Shop, simulated: "Simulation") -> None:
    """Send a simulation's events to the collector."""
    import msgspec

    from ingestion.sender import Post

    posts = [
        Post(shop.ingest_keys[0], msgspec.json.encode(delivery.body), len(delivery.events))
        for delivery in simulated.deliveries
    ]
    _send(url, posts, "Sending")
    if simulated.planted:
        file = data_folder() / "planted.json"
        file.write_text(json.dumps(simulated.planted, indent=1) + "\n")
        say(f"The true effects in the simulated experiments are in {short(file)}.")


@contextmanager
def _collector(url: str | None) -> Iterator[str]:
    from orchestration.processes import running_collector

    if url:
        yield url
    else:
        with running_collector() as started:
            yield started


def _send(url: str, posts: list["Post"], action: str) -> "Sent":
    from ingestion.sender import send

    with progress_bar() as progress:
        task = progress.add_task(f"{action} events", total=sum(post.events for post in posts))
        sent = send(url, posts, lambda events: progress.advance(task, events))
    say(f"Sent {sent.events:,} events, {len(sent.rejected):,} rejected.")
    for reason in sorted(set(sent.rejected))[:10]:
        say(f"  rejected: {reason}")
    return sent
