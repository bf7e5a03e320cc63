"""The published versions on disk: which exist, which one is current, and which are removed.

Reads and writes data/published. The current version, the newest two, and every version with a lease are kept; others
are kept within limits of count, age and size.
"""

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from serving.errors import ServingError
from serving.leases import exclusively
from serving.published import CURRENT, Published, published_folder, read_version

COUNT_VARIABLE, DAYS_VARIABLE = "PIXELNOVA_VERSIONS", "PIXELNOVA_VERSIONS_DAYS"
MEGABYTES_VARIABLE = "PIXELNOVA_VERSIONS_MB"
ALWAYS_KEPT = 2  # so that a rollback is possible
VERSION = re.compile(r"\d{8}T\d{6}\.\d{3}Z")
UNFINISHED = ".unfinished-"


class VersionError(ServingError):
    """The version cannot be made current, or a limit is not a number; the message names the remedy."""


@dataclass(frozen=True)
class Limits:
    """At most `count` versions, none older than `days`, together at most `megabytes` (of 10^6 bytes)."""

    count: float = 5
    days: float = 30
    megabytes: float = 20_000

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> "Limits":
        """The limits that the environment sets.

        Raises:
            VersionError: one is not a number of at least 0.
        """
        return cls(
            _number(environment, COUNT_VARIABLE, cls.count),
            _number(environment, DAYS_VARIABLE, cls.days),
            _number(environment, MEGABYTES_VARIABLE, cls.megabytes),
        )


@dataclass(frozen=True)
class KeptVersion:
    """A version on disk. bytes: of all its files."""

    folder: Path
    published_at: datetime
    bytes: int
    is_current: bool

    @property
    def name(self) -> str:
        """Its name, which is the time of its publication."""
        return self.folder.name

    def is_in_use(self) -> bool:
        """Whether a reader holds it."""
        with exclusively(self.folder) as unused:
            return not unused


def kept_versions(data: Path) -> list[KeptVersion]:
    """All versions, newest first."""
    folder = published_folder(data)
    current = (folder / CURRENT).resolve()
    names = sorted((path.name for path in folder.glob("*") if VERSION.fullmatch(path.name)), reverse=True)
    return [
        KeptVersion(folder / name, _published_at(name), _size(folder / name), (folder / name).resolve() == current)
        for name in names
    ]


def remove_old_versions(data: Path, limits: Limits, now: datetime) -> list[str]:
    """Remove the versions beyond the limits, except those in use, which a later publication removes.

    Returns:
        The names of the removed versions.
    """
    removed, size = [], 0
    for place, version in enumerate(kept_versions(data)):
        size += version.bytes
        within = (
            place < limits.count
            and (now - version.published_at) / timedelta(days=1) <= limits.days  # which may be infinite
            and size <= limits.megabytes * 1_000_000
        )
        if within or place < ALWAYS_KEPT or version.is_current:
            continue
        with exclusively(version.folder) as unused:
            if unused:
                _remove(version.folder)
                removed.append(version.name)
    return removed


def remove_other_versions(data: Path) -> None:
    """Remove every version except the current one, even those in use: they may contain people who were erased."""
    for version in kept_versions(data):
        if not version.is_current:
            _remove(version.folder)


def roll_back(data: Path, name: str) -> Published:
    """Make an older version the current one; the caller must hold the warehouse lock, so that nothing is published.

    Raises:
        VersionError: the version does not exist, or its files are damaged.
    """
    folder = published_folder(data) / name
    if not VERSION.fullmatch(name) or not folder.is_dir():
        raise VersionError(f"Version {name} is not in {folder.parent}: `pixelnova rollback` lists all versions.")
    try:
        published = read_version(folder)
        missing = [file.path for file in published.manifest.files if not _is_whole(folder / file.path, file.bytes)]
    except (OSError, ValueError) as error:
        raise VersionError(f"Version {name} cannot be read ({error}): choose another one.") from error
    if missing:
        raise VersionError(f"Version {name} is damaged ({missing[0]} is missing or incomplete): choose another one.")
    switch(folder.parent, name)
    return published


def switch(folder: Path, version: str) -> None:
    """Make a version the current one, atomically. folder: of all versions."""
    link = folder / f"{UNFINISHED}{CURRENT}"
    link.unlink(missing_ok=True)
    link.symlink_to(version)
    link.replace(folder / CURRENT)
    sync(folder)


def sync(path: Path) -> None:
    """Make a file's content, or the names in a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_unfinished(folder: Path) -> None:
    """Remove what killed publications and removals left behind. folder: of all versions."""
    for path in folder.glob(f"{UNFINISHED}*"):
        if path.is_symlink():
            path.unlink()
        else:
            shutil.rmtree(path)


def _remove(folder: Path) -> None:
    """Rename first: a half-removed version must not look like a whole one."""
    hidden = folder.with_name(f"{UNFINISHED}{folder.name}")
    folder.rename(hidden)
    shutil.rmtree(hidden)


def _is_whole(file: Path, size: int) -> bool:
    return file.is_file() and file.stat().st_size == size


def _published_at(name: str) -> datetime:
    return datetime.strptime(name, "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _number(environment: Mapping[str, str], variable: str, default: float) -> float:
    text = environment.get(variable, str(default))
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not number >= 0:
        raise VersionError(f"{variable} is {text!r}, not a number of at least 0: correct it, or remove it.")
    return number
