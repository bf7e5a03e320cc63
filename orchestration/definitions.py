"""The Dagster definitions: everything under defs/."""

import dagster as dg

from orchestration import defs as folder
from orchestration.defs.resources import RESOURCES
from orchestration.defs.schedules import hourly, refresh


@dg.definitions
def defs() -> dg.Definitions:
    """Assets, checks, job, schedule and resources. A run stays in one process, which holds the warehouse's lock.

    `load_from_defs_folder` would also describe every component type of every installed package, which takes a second.
    """
    return dg.Definitions(
        assets=dg.load_assets_from_package_module(folder),
        asset_checks=dg.load_asset_checks_from_package_module(folder),
        jobs=[refresh],
        schedules=[hourly],
        resources=RESOURCES,
        executor=dg.in_process_executor,
    )
