"""The Dagster definitions: everything under defs/."""

import dagster as dg

from orchestration import defs as folder
from orchestration.defs.jobs import JOBS
from orchestration.defs.resources import RESOURCES
from orchestration.defs.schedules import hourly, weekly
from orchestration.defs.sensors import waiting_files


@dg.definitions
def defs() -> dg.Definitions:
    """Assets, checks, jobs, schedules, the sensor and resources. A run stays in one process, which holds the warehouse.

    `load_from_defs_folder` would also describe every component type of every installed package, which takes a second.
    """
    return dg.Definitions(
        assets=dg.load_assets_from_package_module(folder),
        asset_checks=dg.load_asset_checks_from_package_module(folder),
        jobs=JOBS,
        schedules=[hourly, weekly],
        sensors=[waiting_files],
        resources=RESOURCES,
        executor=dg.in_process_executor,
    )
