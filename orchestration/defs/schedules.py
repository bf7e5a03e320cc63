"""The job `refresh` over all assets, and its hourly schedule."""

import dagster as dg

from orchestration.defs.resources import REFRESH
from orchestration.news import news
from orchestration.settings import data_folder, shops_file

refresh = dg.define_asset_job(
    REFRESH,
    selection=dg.AssetSelection.all(),
    description="Load what has landed and Shopify's catalogue, build every model, publish.",
)


@dg.schedule(
    job=refresh,
    cron_schedule="5 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def hourly() -> dg.RunRequest | dg.SkipReason:
    """Run every hour, unless nothing has changed."""
    changed = news(data_folder(), shops_file())
    return dg.RunRequest() if changed else dg.SkipReason("Nothing has changed since the last refresh.")
