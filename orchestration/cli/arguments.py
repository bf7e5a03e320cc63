"""Arguments and defaults that several commands share."""

from datetime import datetime
from typing import Annotated

import typer

from ingestion.shops import Shop, find_shop, load_shops
from orchestration.settings import shops_file

DEMO_SHOP = "pixelnova-demo.myshopify.com"
COLLECTOR_PORT, API_PORT, SHOP_PORT, DASHBOARD_PORT = 8787, 8788, 8789, 8501

Seed = Annotated[int, typer.Option(help="Random seed; the same seed and end give the same store and shoppers.")]
End = Annotated[
    datetime | None,
    typer.Option(help="End of the simulated period, UTC; default: now.", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
]
Days = Annotated[int, typer.Option(min=1, max=365, help="Number of days to simulate.")]
CollectorUrl = Annotated[
    str | None, typer.Option("--url", help="URL of a running collector; default: start one for this command.")
]
Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.")]
Workers = Annotated[int, typer.Option(min=1, max=64, help="Number of worker processes that share the port.")]


def chosen_shop(domain: str | None) -> Shop:
    """The shop of this domain; the first of shops.toml by default.

    Raises:
        ShopsFileError: shops.toml cannot be used, or does not have the shop.
    """
    shops = load_shops(shops_file())
    return find_shop(shops, domain) if domain else shops[0]
