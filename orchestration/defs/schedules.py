"""The job `refresh`, which brings everything up to date, and its hourly schedule."""

import dagster as dg

refresh = dg.define_asset_job(
    "refresh",
    selection=dg.AssetSelection.all(),
    description="Load what has landed and Shopify's catalogue, build every model, publish.",
)

hourly = dg.ScheduleDefinition(
    name="hourly",
    job=refresh,
    cron_schedule="5 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
