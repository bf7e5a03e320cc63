"""The command `demo`: the whole path, from simulated shoppers to a published version."""

import os
from typing import Annotated

import typer
from rich.markup import escape

from ingestion.shops import load_shops
from orchestration.cli.arguments import DEMO_SHOP, Days, End, Seed, chosen_shop
from orchestration.cli.collector import send_simulation, simulation
from orchestration.cli.refresh import print_summary, run_refresh
from orchestration.cli.servers import check_ports, run_storefront
from orchestration.cli.terminal import console, say, short
from orchestration.settings import data_folder, shops_file

DEMO_TOKEN = "demo-token"


def demo(
    seed: Seed = 1,
    end: End = None,
    days: Days = 30,
    storefront: Annotated[bool, typer.Option("--storefront", help="Then serve the demo shop until Ctrl-C.")] = False,
) -> None:
    """Simulate a store, collect its events, load, build and publish them, and print a summary."""
    from ingestion.simulator.admin_api import AdminApi, Bucket, running_admin_api
    from ingestion.simulator.admin_store import AdminStore
    from ingestion.simulator.catalogue import build_catalogue
    from ingestion.sources.shopify_api import URL_VARIABLE
    from ingestion.sources.shopify_token import client_id_variable, client_secret_variable, token_variable
    from orchestration.processes import collector_counts, running_collector

    if storefront:
        check_ports()
    shop = chosen_shop(DEMO_SHOP)
    with running_collector() as url:
        simulated = simulation(shop, seed, end, days)
        send_simulation(url, shop, simulated)
        counts = collector_counts(url)
    stored, refused = counts["stored"], counts["consent_refused"]
    say(f"The collector stored {stored:,} events; {refused:,} without consent were counted, not stored.")
    store = AdminStore(shop.domain, build_catalogue(seed), simulated.orders, shop.currency)
    plus = Bucket(maximum=20_000, restore_rate=1000)  # the rate limit of the Shopify Plus plan
    with running_admin_api(AdminApi(store, DEMO_TOKEN, plus)) as api_url:
        for other in load_shops(shops_file()):  # the simulated API must not receive the credentials of real stores
            for variable in (token_variable, client_id_variable, client_secret_variable):
                os.environ.pop(variable(other.domain), None)
        os.environ |= {URL_VARIABLE: api_url, token_variable(shop.domain): DEMO_TOKEN}
        refreshed = run_refresh()
    print_summary(refreshed)
    console.print(
        "\nNext: [bold].venv/bin/pixelnova dashboard[/bold], then open http://127.0.0.1:8501 · "
        "[bold]pixelnova status[/bold] · [bold]make dev[/bold] for Dagster's graph · "
        f"analysts: {escape(str(short(data_folder() / 'published' / 'current' / 'pixelnova.duckdb')))}",
        soft_wrap=True,
    )
    if storefront:
        raise typer.Exit(run_storefront())
