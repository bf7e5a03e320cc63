"""Recognises that a disk is full, in whatever words the library at work says so."""

import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

_NUMBERS = (errno.ENOSPC, errno.EDQUOT)
_WORDS = (  # of the system, of SQLite, of DuckDB; dbt and Dagster pass them on as text
    "No space left on device",
    "Disk quota exceeded",
    "database or disk is full",
    "Out of disk space",
)


class DiskFull(Exception):
    """There is no space left; the message names the folder and the remedy."""


def disk_full(error: BaseException | None, folder: Path) -> DiskFull | None:
    """What to say of an error that a full disk is the cause of; None if another one is."""
    for one in causes(error):
        by_number = isinstance(one, OSError) and one.errno in _NUMBERS
        if by_number or any(words in str(one) for words in _WORDS):
            free = shutil.disk_usage(_existing(folder)).free
            return DiskFull(
                f"The disk of {folder} is full: {free / 1_000_000:,.0f} MB are free, and the run needs more. Make room "
                "there, or choose another folder with --data, and run again. What was published before stays, and no "
                "event is lost."
            )
    return None


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it was raised from, the innermost last."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())
