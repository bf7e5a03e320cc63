"""When the jobs `refresh` and `report` run: every hour, and every Monday."""

import dagster as dg

from orchestration.defs.jobs import refresh, report
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


# At noon UTC it is Monday everywhere, so that the week is over for every shop.
weekly = dg.ScheduleDefinition(
    name="weekly",
    job=report,
    cron_schedule="0 12 * * 1",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
