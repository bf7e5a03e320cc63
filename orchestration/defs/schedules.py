"""When the job `refresh` runs: every hour."""

import dagster as dg

from orchestration.defs.jobs import refresh
from orchestration.news import news
from orchestration.settings import data_folder, shops_file


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
