"""Runs the job `refresh` before its schedule if landing files have waited long or are large."""

from datetime import UTC, datetime

import dagster as dg

from orchestration.defs.jobs import refresh
from orchestration.run_history import run_is_active
from orchestration.settings import data_folder
from orchestration.waiting import waiting


@dg.sensor(job=refresh, minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.RUNNING)
def waiting_files(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Run if sealed landing files have waited too long or are too large in total, unless a run is active."""
    if run_is_active(context.instance):
        return dg.SkipReason("A run is active.")
    found = waiting(data_folder(), datetime.now(UTC))
    return dg.RunRequest(tags={"started_because": found.reason}) if found.is_due else dg.SkipReason(found.reason)
