"""Commands that run servers until Ctrl-C: the read API, the dashboard, the demo shop, the development setup."""

import importlib.util
import sys
from typing import Annotated

import typer

from orchestration.cli.arguments import (
    API_PORT,
    COLLECTOR_PORT,
    DASHBOARD_PORT,
    DEMO_SHOP,
    SHOP_PORT,
    Host,
    Port,
    Workers,
    chosen_shop,
)
from orchestration.cli.terminal import console
from orchestration.settings import EXECUTABLES, PROJECT_ROOT, data_folder, shops_file

COMMAND = (sys.executable, "-m", "orchestration.cli")


def api(
    host: Host = "127.0.0.1",
    port: Port = API_PORT,
    workers: Workers = 1,
    requests_per_second: Annotated[
        int, typer.Option(min=0, help="Limit per address and worker; 0 means unlimited.")
    ] = 50,
) -> None:
    """Serve the read API (recommendations, metrics and reports) from the published files, until Ctrl-C."""
    from orchestration.log_files import server_logging
    from serving.api import serve

    serve(host, port, data_folder(), workers, requests_per_second, server_logging(data_folder(), "api"))


def dashboard(host: Host = "127.0.0.1", port: Port = DASHBOARD_PORT) -> None:
    """Serve the dashboard for merchants, until Ctrl-C."""
    from serving.dashboard.server import serve_dashboard

    serve_dashboard(host, port, data_folder(), shops_file().with_name("annotations.toml"))


def storefront(
    port: Port = SHOP_PORT,
    shop: Annotated[str, typer.Option(help="The store whose products are shown.")] = DEMO_SHOP,
    collector_url: Annotated[
        str, typer.Option(help="URL of the collector that the pixel sends to.")
    ] = f"http://127.0.0.1:{COLLECTOR_PORT}",
    api_url: Annotated[
        str, typer.Option(help="URL of the read API that serves the lists.")
    ] = f"http://127.0.0.1:{API_PORT}/v1",
) -> None:
    """Serve a demo shop on this machine, with the pixel and recommendations but without Shopify, until Ctrl-C."""
    from ingestion.pixel.packaging import custom_pixel
    from serving.demo_shop.server import serve_storefront

    found = chosen_shop(shop)
    pixel = custom_pixel(collector_url, found.ingest_keys[0])
    serve_storefront("127.0.0.1", port, data_folder(), found.domain, pixel, api_url, collector_url)


def dev() -> None:
    """Run the collector (port 8787), Dagster's web server (3000) and, if it is installed, the dashboard (8501), until
    Ctrl-C."""
    from ingestion.shops import load_shops
    from orchestration.processes import run_together
    from orchestration.runner import prepare_dagster

    load_shops(shops_file())
    with console.status("Preparing Dagster"):
        prepare_dagster()
    commands = [[*COMMAND, "collect"], [EXECUTABLES / "dg", "dev"]]
    if importlib.util.find_spec("streamlit"):
        commands.append([*COMMAND, "dashboard"])
    raise typer.Exit(run_together(commands, PROJECT_ROOT))


def check_ports() -> None:
    """Check that the demo shop's ports are free, before the minute of work that precedes it.

    Raises:
        CannotListen: one of them is in use.
    """
    from serving.listening import CannotListen, listen

    for port in (COLLECTOR_PORT, API_PORT, SHOP_PORT):
        try:
            listen("127.0.0.1", port).close()
        except CannotListen:
            raise CannotListen(
                f"The demo shop needs the ports {SHOP_PORT}, {COLLECTOR_PORT} and {API_PORT} on 127.0.0.1, and {port} "
                "is in use: stop the program that uses it."
            ) from None


def run_storefront() -> int:
    """Run the collector, the read API and the shop together; the exit code of the first one to end."""
    from orchestration.processes import run_together

    return run_together([[*COMMAND, name] for name in ("collect", "api", "storefront")], PROJECT_ROOT)
