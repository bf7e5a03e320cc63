"""Makes the next load read archived landing files again: all of them, or those of one shop and some days.

Reads the landing archive; deletes the rows of these files and their ledger entries, and marks the warehouse for a full
build, which also removes rows whose event has left the archive. Each step can be repeated: if the run dies, the
next one loads and builds what is missing.
"""

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

from ingestion.data_folder import warehouse_file
from ingestion.privacy.retention import raw_kept_since
from ingestion.shops import Shop
from ingestion.warehouse import files_of_days, reset_ledger
from orchestration.build_state import mark_for_rebuild
from orchestration.errors import OrchestrationError


class ReloadError(OrchestrationError):
    """The shop or the days cannot be loaded again; the message names the remedy."""


def reload_everything(data: Path, shops: Sequence[Shop], now: datetime) -> int:
    """Forget every landing file whose events are all in the archive; returns how many."""
    if not warehouse_file(data).exists():
        return 0
    mark_for_rebuild(warehouse_file(data))
    return reset_ledger(data, raw_kept_since(shops, now))


def reload_days(data: Path, shops: Sequence[Shop], shop: str, days: tuple[str, str], now: datetime) -> int:
    """Forget the landing files with events that a shop sent on these days; returns how many.

    A landing file is loaded as a whole, so other days and shops in these files are loaded again too.

    Args:
        days: the first and the last day received, UTC, such as 2026-11-22.

    Raises:
        ReloadError: a day is malformed, or the archive has no such files.
    """
    try:
        first, last = map(date.fromisoformat, days)
    except ValueError as error:
        raise ReloadError(f"{' to '.join(days)}: {error}. Write both days like 2026-11-22.") from error
    if shop not in {known.domain for known in shops}:
        raise ReloadError(f"{shop} is not in shops.toml: add it, or correct the name.")
    files = files_of_days(data, shop, first, last)
    if not files:
        raise ReloadError(
            f"The archive has no landing files of {shop} from {first} to {last}: put them under "
            f"landing/archive/shop={shop}/received_date=…/, or choose other days."
        )
    if not warehouse_file(data).exists():
        return 0
    mark_for_rebuild(warehouse_file(data))
    return reset_ledger(data, raw_kept_since(shops, now), files)
