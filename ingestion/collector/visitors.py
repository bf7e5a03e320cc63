"""Distinguishes visitors within a day without storing their address.

Hashes an address, a user agent and a shop to 16 hex digits. The key is a random salt, new each day (UTC) and deleted
after 48 hours: from then on, the hash cannot be computed, not even by trying every address.
"""

import os
import secrets
from datetime import datetime, timedelta
from hashlib import blake2b
from pathlib import Path

from ingestion.landing import sync_folder

KEPT_FOR = timedelta(hours=48)
SALT_BYTES = 32


class VisitorHash:
    """The hash of the day; all workers of a collector share the salts in one folder."""

    def __init__(self, folder: Path) -> None:
        """Keep salts in `folder`, readable by this user only."""
        self._folder = folder
        self._day = ""
        self._salt = b""

    def __call__(self, address: str, user_agent: str | None, shop: str, now: datetime) -> str:
        """16 hex digits; the same for one visitor of a shop all day, different on any other day."""
        day = now.strftime("%Y-%m-%d")
        if day != self._day:
            self._salt = self._salt_of(day)
            self._day = day
        return blake2b(f"{address}|{user_agent}|{shop}".encode(), key=self._salt, digest_size=8).hexdigest()

    def _salt_of(self, day: str) -> bytes:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / f"salt-{day}"
        unfinished = self._folder / f".salt-{day}-{os.getpid()}-{secrets.token_hex(4)}"
        descriptor = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            os.write(descriptor, secrets.token_bytes(SALT_BYTES))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        try:
            path.hardlink_to(unfinished)  # atomic: the first worker's salt is used by all workers
            sync_folder(self._folder)
        except FileExistsError:
            pass
        finally:
            unfinished.unlink()
        return path.read_bytes()

    def forget(self, now: datetime) -> None:
        """Delete the salts of days that began at least 48 hours ago; call it periodically."""
        for path in [*self._folder.glob("salt-*"), *self._folder.glob(".salt-*")]:
            day = path.name.removeprefix(".").removeprefix("salt-")[:10]
            if day <= (now - KEPT_FOR).strftime("%Y-%m-%d"):  # dates sort as text, and other names may be deleted
                path.unlink(missing_ok=True)
        if self._day != now.strftime("%Y-%m-%d"):
            self._day, self._salt = "", b""
