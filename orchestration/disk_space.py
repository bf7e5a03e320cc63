"""Recognises disk-full errors of the operating system, SQLite and DuckDB.

Reads an error and its causes; returns an error with a remedy.
"""

import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

from orchestration.errors import OrchestrationError

_NUMBERS = (errno.ENOSPC, errno.EDQUOT)
MESSAGES = (  # of the system, SQLite and DuckDB; dbt and Dagster pass them on as text
    "No space left on device",
    "Disk quota exceeded",
    "database or disk is full",
    "Out of disk space",
)


class DiskFull(OrchestrationError):
    """The disk is full; the message names the folder and the remedy."""


def disk_full(error: BaseException | None, folder: Path) -> DiskFull | None:
    """A DiskFull error if a full disk caused this one, else None."""
    for cause in causes(error):
        if isinstance(cause, DiskFull):
            return cause
        by_number = isinstance(cause, OSError) and cause.errno in _NUMBERS
        if by_number or any(message in str(cause) for message in MESSAGES):
            free = shutil.disk_usage(nearest_existing(folder)).free
            return DiskFull(
                f"The disk of {folder} is full: {free / 1_000_000:,.0f} MB are free, and the run needs more. Make room "
                "there, or choose another folder with --data, then run again. No event is lost."
            )
    return None


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and its causes, the innermost last."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def nearest_existing(folder: Path) -> Path:
    """The folder itself, or its nearest parent that exists."""
    return next(path for path in (folder, *folder.parents) if path.exists())
