"""The published version as an asset, downstream of all marts and exports."""

import time
from datetime import datetime
from typing import Any

import dagster as dg

from orchestration.code_version import running_code
from orchestration.defs.experimentation import RESULTS
from orchestration.defs.recommendation import HISTORY
from orchestration.defs.resources import Warehouse
from orchestration.defs.stages import PUBLICATION
from orchestration.defs.transformation import PERSONAL, models
from orchestration.run_history import recent_runs
from serving.manifest import Manifest
from serving.publish import MART_SCHEMAS, publish

published = [key for key in models.keys if key.path[0] in (*MART_SCHEMAS, "exports")]


@dg.asset(
    key=["published", "version"],
    deps=[*published, PERSONAL, HISTORY, *RESULTS],
    group_name="publication",
    kinds={"file"},
    **PUBLICATION.attributes,
)
def published_version(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult:
    """Files for analysts and the storefront, in a new folder; then `current` switches to it."""
    started = time.monotonic()
    manifest = publish(warehouse.file, warehouse.data, running_code(), recent_runs(context.instance)).manifest
    warehouse.is_current()
    for table, rows in manifest.rows_by_table.items():  # includes tables with history, which dbt does not report
        observed = dg.AssetObservation(table.split("."), metadata={"dagster/row_count": rows})
        context.log_event(observed)
    return dg.MaterializeResult(metadata={"seconds": time.monotonic() - started, **_figures(manifest)})


def _figures(manifest: Manifest) -> dict[str, Any]:
    """Figures that Dagster plots over time. lateness: minutes between the newest event and the publication."""
    figures: dict[str, Any] = {
        "version": manifest.version,
        "as_of": manifest.as_of or "",
        "dagster/row_count": sum(manifest.rows_by_table.values()),
        "bytes": sum(file.bytes for file in manifest.files),
    }
    if manifest.as_of:
        lateness = datetime.fromisoformat(manifest.published_at) - datetime.fromisoformat(manifest.as_of)
        figures["lateness_minutes"] = lateness.total_seconds() / 60
    return figures
