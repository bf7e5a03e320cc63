"""The jobs. All but `shopify_sync` and `report` end with a published version."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg

from orchestration.defs.ingestion import REQUESTS, Reload, shopify, shops
from orchestration.defs.resources import BACKFILL, FULL_REBUILD, REFRESH, Warehouse

EVERYTHING = dg.AssetSelection.all()
SHOPIFY = dg.AssetSelection.assets(*shopify.keys)


class Days(dg.Config):
    """A shop's domain, and days received, UTC, such as 2026-11-22."""

    shop: str
    first_day: str
    last_day: str


@dg.config_mapping
def days_to_load_again(days: Days) -> dict[str, Any]:
    """Translate the configuration of a backfill into that of its assets."""
    return {"ops": {"pixel": {"config": days.model_dump()}}}


refresh = dg.define_asset_job(
    REFRESH, EVERYTHING, description="Load new landing files and changes from Shopify, build what has changed, publish."
)
full_rebuild = dg.define_asset_job(
    FULL_REBUILD,
    EVERYTHING,
    config=dg.RunConfig(ops={"pixel": Reload(everything=True)}),
    description="The same as `refresh --full`: load the whole landing archive again, rebuild every table, publish.",
)
backfill = dg.define_asset_job(
    BACKFILL,
    EVERYTHING,
    config=days_to_load_again,
    description="Load the landing files of a shop and some days again from the archive, rebuild every table, publish.",
)
shopify_sync = dg.define_asset_job(
    "shopify_sync",
    SHOPIFY | dg.AssetSelection.assets(REQUESTS, *shops.keys),
    description="Fetch from Shopify only, such as the first catalogue of a large store; the next refresh builds it.",
)
privacy = dg.define_asset_job(
    "privacy",
    EVERYTHING - SHOPIFY,
    description="Carry out requests about people and retention now, even while Shopify is unavailable: erase, build, "
    "publish, remove older versions.",
)


@dg.op
def weekly_reports(context: dg.OpExecutionContext, warehouse: Warehouse) -> None:
    """Write last week's report of every shop, and send those that were not sent.

    It reads published files only, but takes the warehouse lock, by which a live run is recognized.
    """
    from orchestration.weekly_reports import write_reports  # imports the query layer

    for file, outcome in write_reports(warehouse.data, datetime.now(UTC), send=True):
        context.log.info(f"{file}: {outcome}")


@dg.job(executor_def=dg.in_process_executor)
def report() -> None:
    """Write each shop's report of last week, and send it to the channels in PIXELNOVA_REPORTS."""
    weekly_reports()


JOBS = [refresh, full_rebuild, backfill, shopify_sync, privacy, report]
