"""Restores a backup into an empty data folder.

Reads what orchestration/backup.py wrote, checks every file, erases people who were erased since, and moves everything
into place at the end.
"""

import contextlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ingestion.data_folder import landing_folder, warehouse_file
from ingestion.privacy.erase import erase_everywhere
from ingestion.privacy.purge import compact
from ingestion.privacy.suppression import Suppressions, privacy_folder
from ingestion.shops import Shop, load_shops
from orchestration.backup import CONFIG, DATA, LIST, BackedUpFile, Backup, BackupError, backups, read_backup, sha256
from orchestration.build_state import mark_for_rebuild
from orchestration.settings import make_data_folder
from orchestration.warehouse_lock import warehouse_lock
from serving.kept_versions import sync
from serving.published import CURRENT, published_folder

RESTORING, LANDING = ".restoring", "landing"
RESTORED = (LANDING, "warehouse.duckdb", "warehouse.duckdb.wal", "published", "api_keys.json")


class Restored(NamedTuple):
    """What was restored. kept: existing configuration files that differ from the backup's.

    erased_again: people erased since the backup were erased from the restored data; the next refresh publishes it.
    """

    backup: Backup
    kept: list[Path]
    erased_again: bool


def restore(source: Path, data: Path, shops_file: Path) -> Restored:
    """Restore a backup into an empty data folder; existing configuration files are kept.

    source: a backup, or a folder of backups, of which the newest is used. An interrupted restoration starts over.

    The data folder may contain the lost folder's `privacy`: everyone on its suppression list is erased again.

    Raises:
        BackupError: the backup is missing or damaged, or the data folder is not empty.
        WarehouseBusy: a run uses the data folder.
    """
    folder = source if (source / LIST).exists() else next(reversed(backups(source)), None)
    if folder is None:
        raise BackupError(
            f"{source} is not a backup and contains none: name the folder that `pixelnova backup` wrote to."
        )
    backup = read_backup(folder)
    damaged = [file.path for file in backup.files if not _is_whole(folder / file.path, file)]
    if damaged:
        raise BackupError(f"The backup {folder} is damaged ({damaged[0]}): restore another one.")
    make_data_folder()
    with warehouse_lock():
        _refuse_unless_empty(data, backup)
        kept = _restore_configuration(folder / CONFIG, shops_file.parent)
        unfinished = data / RESTORING
        shutil.copytree(folder / DATA, unfinished)
        if backup.published is not None:
            (unfinished / "published" / CURRENT).symlink_to(backup.published)
        erased_since = _join_privacy(data, unfinished)
        if erased_since:
            _erase_again(data, unfinished, load_shops(shops_file))
        for path in [*unfinished.rglob("*"), unfinished]:
            if not path.is_symlink():
                sync(path)
        # Landing files last: once they are there, everything is. An erasure may have added one that the backup lacks.
        for entry in sorted(unfinished.iterdir(), key=lambda entry: entry.name == LANDING):
            entry.rename(data / entry.name)
        sync(data)
        unfinished.rmdir()
    return Restored(backup, kept, erased_since)


def _join_privacy(data: Path, unfinished: Path) -> bool:
    """Merge the backup's suppression list and requests into the data folder's; whether the backup lacked any."""
    ours, theirs = privacy_folder(data), privacy_folder(unfinished)
    if not ours.exists():
        return False
    if not theirs.exists():
        return bool(Suppressions(data))
    before = Suppressions(data)
    erased_since = not before <= Suppressions(unfinished)
    before.merge(unfinished)
    for request in sorted((theirs / "requests").glob("*.json")):
        place = ours / "requests" / request.name
        place.parent.mkdir(exist_ok=True)
        if not place.exists():
            shutil.copy2(request, place)
    shutil.rmtree(theirs)
    return erased_since


def _erase_again(data: Path, unfinished: Path, shops: Sequence[Shop]) -> None:
    """Erase everyone on the data folder's suppression list before anything of the backup is moved into place."""
    shutil.copytree(privacy_folder(data), privacy_folder(unfinished))
    erase_everywhere(unfinished, shops, mark_for_rebuild)
    shutil.rmtree(privacy_folder(unfinished))
    if warehouse_file(unfinished).exists():
        compact(warehouse_file(unfinished))
    shutil.rmtree(published_folder(unfinished), ignore_errors=True)


def _refuse_unless_empty(data: Path, backup: Backup) -> None:
    """Remove what an interrupted restoration left behind; refuse any other content."""
    with contextlib.suppress(OSError):  # not empty, or missing
        (data / RESTORING).rmdir()  # empty: all of it was moved, or nothing
    if (data / RESTORING).exists():
        known = {file.path.removeprefix(f"{DATA}/") for file in backup.files}
        landed = [path for path in landing_folder(data).rglob("events-*") if path.is_file()]
        newer = [path for path in landed if path.relative_to(data).as_posix() not in known]
        if newer:
            raise BackupError(f"{newer[0]} is not in the backup: move data/landing away, restore, then move it back.")
        for name in (*RESTORED, RESTORING):
            path = data / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    found = [name for name in RESTORED if (data / name).exists()]
    if found:
        raise BackupError(
            f"{data} is not empty (it has {found[0]}): choose another folder with --data, or move it away."
        )


def _restore_configuration(source: Path, target: Path) -> list[Path]:
    kept = []
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        place = target / file.relative_to(source)
        if not place.exists():
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, place)
            except OSError as error:
                raise BackupError(
                    f"{place} cannot be written ({error.strerror}): restore as a user who may, or name a shops.toml in "
                    "another folder with --shops."
                ) from error
        elif place.read_bytes() != file.read_bytes():
            kept.append(place)
    return kept


def _is_whole(path: Path, file: BackedUpFile) -> bool:
    return path.is_file() and path.stat().st_size == file.bytes and sha256(path) == file.sha256
