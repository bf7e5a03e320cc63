"""Tells visitors apart within a day without keeping their address.

An address, a user agent and a shop flow in; 16 hex digits flow out. The hash is keyed with a salt that is drawn anew
each day (UTC) and forgotten after 48 hours: then nobody can compute it again, not even by trying every address.
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
        """16 hex digits; the same for the same visitor of a shop on one day, and unlike on any other day."""
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
            path.hardlink_to(unfinished)  # whole or not at all, and the first worker's salt is everybody's
            sync_folder(self._folder)
        except FileExistsError:
            pass
        finally:
            unfinished.unlink()
        return path.read_bytes()

    def forget(self, now: datetime) -> None:
        """Remove the salts of days that began 48 hours ago or earlier; to be called every now and then."""
        for path in [*self._folder.glob("salt-*"), *self._folder.glob(".salt-*")]:
            day = path.name.removeprefix(".").removeprefix("salt-")[:10]
            if day <= (now - KEPT_FOR).strftime("%Y-%m-%d"):  # days sort as text, and so does what is no day
                path.unlink(missing_ok=True)
        if self._day != now.strftime("%Y-%m-%d"):
            self._day, self._salt = "", b""
