"""Backups: consistent copies of what cannot be rebuilt, made while the collector runs.

A backup is a folder named after its time: backup.json with the size and SHA-256 of every file, data/ and config/. Files
that have not changed, such as the landing archive, are hard links to the previous backup in the same folder.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

import duckdb
import msgspec

from ingestion.data_folder import landing_folder, warehouse_file
from ingestion.errors import IngestionError
from ingestion.experiments import experiments_file
from ingestion.landing import archived_parts, sealed_files
from ingestion.privacy.export import exports_folder
from ingestion.privacy.suppression import privacy_folder
from ingestion.shops import load_shops
from ingestion.sources.catalogue_files import catalogue_files
from orchestration.code_version import running_code
from orchestration.errors import OrchestrationError
from orchestration.warehouse_lock import warehouse_lock
from serving.api.keys import keys_file
from serving.kept_versions import sync
from serving.manifest import Code
from serving.published import NothingPublished, Published, read_current

LIST, DATA, CONFIG = "backup.json", "data", "config"
UNFINISHED = ".unfinished-"
FORMAT = 1


class BackupError(OrchestrationError):
    """A backup cannot be made or restored; the message names the remedy."""


class BackedUpFile(msgspec.Struct, frozen=True):
    """path: relative to the backup. modified_ns: as in the source."""

    path: str
    bytes: int
    sha256: str
    modified_ns: int


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of backup.json. published: the name of the published version, None if there was none."""

    format: int = FORMAT
    made_at: datetime
    code: Code
    published: str | None
    files: list[BackedUpFile]


def back_up(data: Path, shops_file: Path, target: Path, now: datetime, wait_seconds: float) -> Path:
    """Make a backup in a new folder under `target`; returns that folder.

    The archive is copied first, while refreshes may run. Its new parts, the sealed files and the warehouse are copied
    under the warehouse lock, so that they are consistent. Not included are the events of the last minute, which the
    collector has not sealed yet, and the salts of visitor hashes, which must not be kept longer than two days.

    Raises:
        WarehouseBusy: a run held the warehouse for longer than `wait_seconds`.
        BackupError: the target cannot be used.
    """
    if target.resolve().is_relative_to(data):
        raise BackupError(f"{target} is within the data folder: choose a folder on another disk.")
    try:
        target.mkdir(parents=True, exist_ok=True)
        with _only_one(target):
            return _back_up(data, shops_file, target, now, wait_seconds)
    except OSError as error:
        raise BackupError(
            f"The backup to {target} failed ({error.strerror}: {error.filename}): make room or correct permissions, "
            "then run it again."
        ) from error


def _back_up(data: Path, shops_file: Path, target: Path, now: datetime, wait_seconds: float) -> Path:
    for leftover in target.glob(f"{UNFINISHED}*"):
        shutil.rmtree(leftover)
    name = f"{now:%Y%m%dT%H%M%SZ}"
    before = backups(target)
    copy = _Copy(target / f"{UNFINISHED}{name}", before[-1] if before else None)
    landing = landing_folder(data)
    (copy.folder / DATA).mkdir(parents=True)
    copy.files(DATA, data, archived_parts(landing))
    with warehouse_lock(wait_seconds), _current(data) as published:
        copy.files(DATA, data, [*archived_parts(landing), *sealed_files(landing)])
        warehouse = warehouse_file(data)
        log = warehouse.with_name(f"{warehouse.name}.wal")  # left by a killed run
        copy.files(DATA, data, [file for file in (warehouse, log) if file.exists()])
        copy.files(DATA, data, [file for file in landing.glob("webhooks/*/*") if file.is_file()])
        copy.files(DATA, data, _privacy_files(data))
        if published is not None:
            copy.files(DATA, data, [file for file in published.folder.rglob("*") if file.is_file()])
    copy.files(CONFIG, shops_file.parent, _configuration(shops_file))
    if keys_file(data).exists():
        copy.file(keys_file(data), f"{DATA}/api_keys.json")
    copied = copy.finish({part.relative_to(data).as_posix() for part in archived_parts(landing)})
    _check_warehouse(copy.folder / DATA / warehouse.name)
    backup = Backup(
        made_at=now, code=running_code(), published=published.folder.name if published else None, files=copied
    )
    (copy.folder / LIST).write_bytes(msgspec.json.format(msgspec.json.encode(backup), indent=1) + b"\n")
    for path in [*copy.folder.rglob("*"), copy.folder]:
        sync(path)
    copy.folder.rename(target / name)
    sync(target)
    return target / name


class _Copy:
    """Copies files into an unfinished backup; unchanged files become links to the previous backup."""

    def __init__(self, folder: Path, before: Path | None) -> None:
        self.folder = folder
        self._before = before
        self._known: dict[str, BackedUpFile] = {}
        self._files: dict[str, BackedUpFile] = {}
        if before:
            with contextlib.suppress(BackupError):  # unreadable: everything is copied
                self._known = {file.path: file for file in read_backup(before).files}

    def files(self, kind: str, root: Path, files: Iterable[Path]) -> None:
        """Copy files below `root` to the same places below data/ or config/."""
        for file in files:
            with contextlib.suppress(FileNotFoundError):  # archived or erased meanwhile; listed again under the lock
                self.file(file, f"{kind}/{file.relative_to(root).as_posix()}")

    def file(self, source: Path, name: str) -> None:
        """Copy one file, unless the copy is up to date."""
        state, target = source.stat(), self.folder / name
        for known in (self._files.get(name), self._known.get(name)):
            if known and (known.bytes, known.modified_ns) == (state.st_size, state.st_mtime_ns):
                break
        else:
            known = None
        target.parent.mkdir(parents=True, exist_ok=True)
        if known is not None and name not in self._files and not self._link(known, target):
            known = None
        if known is None:
            target.unlink(missing_ok=True)
            shutil.copy2(source, target)
            target.chmod(state.st_mode & 0o770)  # whatever the source allows, others may not read backups
            known = BackedUpFile(name, target.stat().st_size, sha256(target), state.st_mtime_ns)
        self._files[name] = known

    def _link(self, known: BackedUpFile, target: Path) -> bool:
        """Link to the previous backup's copy; False if that is missing or truncated."""
        before = self._before / known.path
        try:
            if before.stat().st_size != known.bytes:
                return False
            os.link(before, target)
        except FileNotFoundError:
            return False
        return True

    def finish(self, archived: set[str]) -> list[BackedUpFile]:
        """Remove copies of archive parts that were erased after they had been copied; returns the files that remain."""
        for name in list(self._files):
            path = name.removeprefix(f"{DATA}/")
            if path.startswith("landing/archive/") and path not in archived:
                (self.folder / name).unlink()
                del self._files[name]
        return list(self._files.values())


def read_backup(folder: Path) -> Backup:
    """The description of a backup.

    Raises:
        BackupError: it is missing or malformed.
    """
    try:
        backup = msgspec.json.decode((folder / LIST).read_bytes(), type=Backup)
    except (OSError, msgspec.MsgspecError) as error:
        raise BackupError(f"{folder / LIST} cannot be read ({error}): use another backup.") from error
    if backup.format != FORMAT:
        raise BackupError(f"{folder} has format {backup.format}, not {FORMAT}: restore it with the code that wrote it.")
    return backup


def backups(folder: Path) -> list[Path]:
    """The complete backups in a folder, oldest first."""
    return sorted(file.parent for file in folder.glob(f"[0-9]*/{LIST}"))


def _privacy_files(data: Path) -> list[Path]:
    """The suppression list with its key, and the requests, but not the packages for people."""
    exports = exports_folder(data)
    files = privacy_folder(data).rglob("*")
    return sorted(file for file in files if file.is_file() and not file.is_relative_to(exports))


def _configuration(shops_file: Path) -> list[Path]:
    """shops.toml, the configuration files beside it, and the catalogue files that it names in the same folder."""
    folder = shops_file.parent
    files = [shops_file, experiments_file(shops_file), folder / "annotations.toml"]
    with contextlib.suppress(IngestionError):  # a broken shops.toml is backed up too
        files += [path for shop in catalogue_files(load_shops(shops_file), folder) for path in shop.paths]
    return [file for file in files if file.is_file() and file.is_relative_to(folder)]


@contextlib.contextmanager
def _current(data: Path) -> Iterator[Published | None]:
    """The current version; a lease keeps it from being removed."""
    try:
        yield read_current(data)
    except NothingPublished:
        yield None


def _check_warehouse(file: Path) -> None:
    if file.exists():
        try:
            duckdb.connect(str(file), read_only=True).close()
        except duckdb.Error as error:
            raise BackupError(
                f"The copy of the warehouse cannot be opened ({error}): check whether `pixelnova refresh` works."
            ) from error


@contextlib.contextmanager
def _only_one(target: Path) -> Iterator[None]:
    with (target / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupError(f"Another backup to {target} is running: wait until it has finished.") from None
        yield


def sha256(file: Path) -> str:
    """The digest of a file's content."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
