"""The published version as an asset, downstream of all marts and exports."""

from datetime import timedelta

import dagster as dg

from orchestration.code_version import running_code
from orchestration.defs.experimentation import RESULTS
from orchestration.defs.recommendation import HISTORY
from orchestration.defs.resources import Warehouse
from orchestration.defs.transformation import PERSONAL, models
from orchestration.run_history import recent_runs
from serving.publish import MART_SCHEMAS, publish

published = [key for key in models.keys if key.path[0] in (*MART_SCHEMAS, "exports")]


@dg.asset(
    key=["published", "version"],
    deps=[*published, PERSONAL, HISTORY, *RESULTS],
    group_name="publication",
    kinds={"file"},
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=3)),
)
def published_version(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult:
    """Files for analysts and the storefront, in a new folder; then `current` switches to it."""
    manifest = publish(warehouse.file, warehouse.data, running_code(), recent_runs(context.instance)).manifest
    warehouse.is_current()
    return dg.MaterializeResult(
        metadata={"version": manifest.version, "as_of": manifest.as_of or "", "rows": dict(manifest.rows_by_table)}
    )
