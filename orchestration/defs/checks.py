"""Checks of what dbt cannot see: files, the published version, the disk, and figures that are unusual but not wrong.

dbt's own tests check its models, and a failed one stops the publication. The checks here stop nothing.
"""

import shutil
from collections.abc import Iterable, Iterator

import dagster as dg

from ingestion.landing import sealed_files
from ingestion.warehouse_connection import connect
from orchestration.defs.publication import published_version
from orchestration.defs.resources import Warehouse
from orchestration.health import Share, missing_order_shares, quarantined_shares
from orchestration.problems import MIN_COUNT, Thresholds, significant
from orchestration.quality import late_shares, line_counts, volumes, wrong_row_counts
from orchestration.settings import SettingError
from serving.published import read_current

USUAL = (0.5, 3.0)  # of the usual number of events
LATE_SHARE = 0.2

VOLUME = dg.AssetCheckSpec(
    "last_day_has_the_usual_number_of_events",
    asset=["operations", "event_volume"],
    description="The last whole day of each shop, compared with the same weekday's median in the eight weeks before.",
)
LATENESS = dg.AssetCheckSpec(
    "events_arrive_within_an_hour",
    asset=["operations", "event_volume"],
    description=f"At most {LATE_SHARE:.0%} of each shop's newest events arrived over an hour after they happened.",
)
QUARANTINE = dg.AssetCheckSpec(
    "few_events_are_quarantined",
    asset=["operations", "quarantined_events"],
    description="The share of each shop's newest events in quarantine; the threshold is that of alerts.",
)
LOSS = dg.AssetCheckSpec(
    "the_pixel_sees_most_orders",
    asset=["operations", "order_reconciliation"],
    description="The share of each shop's newest orders that the pixel missed; the threshold is that of alerts.",
)
ROWS = dg.AssetCheckSpec(
    "published_rows_are_the_rows_of_the_marts",
    asset=published_version,
    description="The manifest has the warehouse's row count for each table.",
)
DISK = dg.AssetCheckSpec(
    "disk_has_room",
    asset=published_version,
    description="Free share of the data folder's disk; the threshold is that of alerts.",
)


@dg.asset_check(asset=["pixel", "landing_files"], name="acknowledged_events_are_loaded_quarantined_or_waiting")
def acknowledged_events_are_loaded_quarantined_or_waiting(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Every line of the landing files of this run, counted before the load, is in a raw table or will be loaded."""
    sealed = {file.name for file in sealed_files(warehouse.landing)}
    with connect(warehouse.file) as connection:
        found = line_counts(connection, warehouse.lines_before_load, sealed)
    return dg.AssetCheckResult(passed=found.are_complete, metadata=found._asdict())


@dg.multi_asset_check(specs=[VOLUME, LATENESS, QUARANTINE, LOSS])
def quality_of_events(warehouse: Warehouse) -> Iterator[dg.AssetCheckResult]:
    """Volume, lateness, quarantine and missing orders, by shop: warnings."""
    thresholds = _thresholds()
    with connect(warehouse.file) as connection:
        days = volumes(connection)
        unusual = {
            f"{day.shop}, {day.local_date}": f"{day.events:,} events, usually {day.usual:,.0f}"
            for day in days
            if day.usual >= MIN_COUNT and not USUAL[0] * day.usual <= day.events <= USUAL[1] * day.usual
        }
        yield _warning(VOLUME, unusual)
        yield _warning(LATENESS, _over(late_shares(connection), LATE_SHARE))
        yield _warning(QUARANTINE, _over(quarantined_shares(connection), thresholds.quarantined_share))
        yield _warning(LOSS, _over(missing_order_shares(connection), thresholds.missing_orders_share))


@dg.multi_asset_check(specs=[ROWS, DISK])
def quality_of_publication(warehouse: Warehouse) -> Iterator[dg.AssetCheckResult]:
    """Rows of the published version; free disk."""
    with connect(warehouse.file) as connection:
        wrong = wrong_row_counts(connection, read_current(warehouse.data).manifest.rows_by_table)
    yield dg.AssetCheckResult(passed=not wrong, check_name=ROWS.name, asset_key=ROWS.asset_key, metadata=wrong)
    disk = shutil.disk_usage(warehouse.data)
    share = disk.free / disk.total
    is_full = share < _thresholds().disk_free_share
    yield _warning(DISK, {"problem": "The disk is nearly full."} if is_full else {}, free_bytes=disk.free, share=share)


def _thresholds() -> Thresholds:
    """The alert thresholds, or the defaults if one is malformed: `pixelnova doctor` reports that, and no run fails."""
    try:
        return Thresholds.of_environment()
    except SettingError:
        return Thresholds()


def _over(shares: Iterable[Share], limit: float) -> dict[str, str]:
    return {
        share.shop or "without a shop": f"{share.part:,} of {share.whole:,} ({share.value:.1%})"
        for share in significant(shares, limit)
    }


def _warning(spec: dg.AssetCheckSpec, found: dict[str, str], **figures: float) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=not found,
        check_name=spec.name,
        asset_key=spec.asset_key,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={**found, **figures},
    )
