"""Leases: a published version is not removed while a reader holds one.

A lease is a shared lock (flock) on the version's manifest.json. The kernel releases it when its process ends, so there
are no stale leases, and it needs no write access: a reader may be another user, or have the folder mounted read-only.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from serving.manifest import MANIFEST


class Lease:
    """Holds a version until it is released or garbage-collected."""

    def __init__(self, folder: Path) -> None:
        """Take a lease on the version in this folder; waits if it is being removed.

        Raises:
            FileNotFoundError: the version does not exist, or was removed.
        """
        self._descriptor: int | None = None
        self._descriptor = os.open(folder / MANIFEST, os.O_RDONLY)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_SH)
            if not os.path.samestat(os.fstat(self._descriptor), (folder / MANIFEST).stat()):
                raise FileNotFoundError(f"{folder} was replaced")
        except OSError:
            self.release()
            raise

    def release(self) -> None:
        """Allow the version to be removed; repeated calls have no effect."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __del__(self) -> None:
        self.release()


@contextlib.contextmanager
def exclusively(folder: Path) -> Iterator[bool]:
    """Whether no reader holds the version; if so, none can take a lease while the block runs."""
    try:
        manifest = (folder / MANIFEST).open("rb")
    except FileNotFoundError:  # a damaged version, which no reader can open
        yield True
        return
    with manifest:
        try:
            fcntl.flock(manifest, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
