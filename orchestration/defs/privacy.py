"""Completes erasures and writes data packages after publication, and checks that no erased data is left."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from ingestion.privacy.export import export_pending
from ingestion.privacy.proof import traces
from ingestion.privacy.purge import purge
from ingestion.privacy.suppression import Suppressions, privacy_folder
from orchestration.defs.publication import published_version
from orchestration.defs.resources import Warehouse
from orchestration.defs.stages import PUBLICATION
from serving.kept_versions import remove_other_versions

LOOK_EVERY = timedelta(days=1)


@dg.asset(
    key=["privacy", "fulfilled"],
    deps=[published_version],
    group_name="publication",
    kinds={"file"},
    **PUBLICATION.attributes,
)
def fulfilled_requests(warehouse: Warehouse) -> dg.MaterializeResult:
    """Removes erased people from older versions and free space; writes packages for people who asked for their data."""
    erased = purge(warehouse.data, lambda: remove_other_versions(warehouse.data))
    if erased:
        _last_look(warehouse).unlink(missing_ok=True)  # look again now
    exported = export_pending(warehouse.data)
    return dg.MaterializeResult(metadata={"erased": erased, "exported": exported})


@dg.asset_check(asset=["privacy", "fulfilled"], name="no_suppressed_identifier_is_left")
def no_suppressed_identifier_is_left(warehouse: Warehouse) -> dg.AssetCheckResult:
    """No table of the warehouse contains an identifier from the suppression list; daily, and after each erasure."""
    last, now = _last_look(warehouse), datetime.now(UTC)
    if last.exists() and now - datetime.fromtimestamp(last.stat().st_mtime, UTC) < LOOK_EVERY:
        return dg.AssetCheckResult(passed=True, metadata={"checked": "less than a day ago"})
    found = traces(warehouse.file, Suppressions(warehouse.data))
    if not found:
        last.touch()
    metadata = {f"{trace.table}.{trace.column}": trace.identifiers for trace in found}
    return dg.AssetCheckResult(passed=not found, metadata=metadata)


def _last_look(warehouse: Warehouse) -> Path:
    return privacy_folder(warehouse.data) / "looked"
