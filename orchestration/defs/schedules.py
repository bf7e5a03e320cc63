"""When the jobs `refresh` and `report` run: every hour, and every Monday."""

import dagster as dg

from orchestration.defs.jobs import refresh, report
from orchestration.news import news
from orchestration.run_history import run_is_active
from orchestration.settings import data_folder, shops_file


@dg.schedule(
    job=refresh,
    cron_schedule="5 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def hourly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Run every hour, unless nothing has changed, or a run is active: longer runs would queue up."""
    if run_is_active(context.instance):
        return dg.SkipReason("A run is active.")
    changed = news(data_folder(), shops_file())
    return dg.RunRequest() if changed else dg.SkipReason("Nothing has changed since the last refresh.")


# By noon UTC, Monday has begun everywhere, so the week is over for every shop.
weekly = dg.ScheduleDefinition(
    name="weekly",
    job=report,
    cron_schedule="0 12 * * 1",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
