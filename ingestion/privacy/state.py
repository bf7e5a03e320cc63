"""Small state files, written atomically and durably."""

import fcntl
import os
from pathlib import Path
from typing import TypeVar

import msgspec

from ingestion.landing import make_folder, sync_folder

_T = TypeVar("_T")


def read_state(file: Path, kind: type[_T]) -> _T | None:
    """What `write_state` wrote; None if the file does not exist."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except FileNotFoundError:
        return None


def write_state(file: Path, state: msgspec.Struct) -> None:
    """Write or replace a state file; only its owner can read its folder."""
    make_folder(file.parent)
    file.parent.chmod(0o700)
    unfinished = file.with_suffix(".tmp")
    with unfinished.open("wb") as written:
        fcntl.flock(written, fcntl.LOCK_EX)  # until it has its name: see remove_abandoned
        written.write(msgspec.json.format(msgspec.json.encode(state), indent=2) + b"\n")
        written.flush()
        os.fsync(written.fileno())
        unfinished.replace(file)
    sync_folder(file.parent)
