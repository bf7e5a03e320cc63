"""Whether sealed landing files have waited so long, or are so large, that a refresh should start before its schedule.

Reads the landing folder, and how the last refresh ended.
"""

from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from ingestion.data_folder import landing_folder
from ingestion.landing import begun_at, sealed_files
from orchestration.run_log import last_run
from orchestration.settings import number_setting

MINUTES_VARIABLE, MEGABYTES_VARIABLE = "PIXELNOVA_REFRESH_MINUTES", "PIXELNOVA_REFRESH_MB"
DEFAULT_MINUTES, DEFAULT_MEGABYTES = 30.0, 256.0


class Waiting(NamedTuple):
    """Whether to refresh now, and why or why not."""

    is_due: bool
    reason: str


def waiting(data: Path, now: datetime) -> Waiting:
    """Whether the waiting files call for a refresh; after a failed one, only once the time limit has passed again.

    Raises:
        SettingError: a limit is malformed.
    """
    limit = timedelta(minutes=number_setting(MINUTES_VARIABLE, DEFAULT_MINUTES))
    megabytes = number_setting(MEGABYTES_VARIABLE, DEFAULT_MEGABYTES)
    files = sealed_files(landing_folder(data))
    if not files:
        return Waiting(False, "No landing files are waiting.")
    waited, size = now - begun_at(files[0]), sum(_size(file) for file in files) / 1_000_000
    found = (
        f"{len(files):,} landing files ({size:,.1f} MB) wait, the oldest for {waited.total_seconds() / 60:,.0f} minutes"
    )
    if waited < limit and size < megabytes:
        return Waiting(False, f"{found}: less than {limit.total_seconds() / 60:g} minutes and {megabytes:g} MB.")
    retry_at = _failed_at(data)
    if retry_at is not None and now < (retry_at := retry_at + limit):
        return Waiting(False, f"{found}, but the last refresh failed: the next attempt is at {retry_at:%H:%M} UTC.")
    return Waiting(True, f"{found}.")


def _failed_at(data: Path) -> datetime | None:
    """When the last refresh failed, or when it began if it was killed. Call it while none runs."""
    last = last_run(data)
    if last is None or (last.ended_at is not None and last.error is None):
        return None
    return datetime.fromisoformat(last.ended_at or last.began_at)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # archived meanwhile
        return 0
