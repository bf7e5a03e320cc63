"""The shops that a running collector serves, reloaded when shops.toml changes.

Finds a shop by its ingest key. If the new file is unusable, the collector logs why and keeps the previous shops.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from pathlib import Path

from ingestion.shops import Shop, ShopsFileError, load_shops

LOOK_SECONDS = 2.0
LOOKS_APART_SECONDS = 0.5  # however many unknown keys arrive in between

log = logging.getLogger(__name__)


class ServedShops:
    """The shops of one collector process."""

    def __init__(self, shops: Sequence[Shop], file: Path | None = None) -> None:
        """file: the source of `shops`; without one they never change."""
        self._file = file
        self._stamp = self._stamp_now()
        self._looked_at = time.monotonic()
        self._serve(shops)

    def by_key(self, key: str) -> Shop | None:
        """The shop of an ingest key."""
        return self._by_key.get(key)

    async def look_up(self, key: str) -> Shop | None:
        """The shop of an ingest key, which may just have been added to shops.toml."""
        shop = self._by_key.get(key)
        if shop is None and time.monotonic() - self._looked_at > LOOKS_APART_SECONDS:
            await self._look()
            shop = self._by_key.get(key)
        return shop

    async def follow(self) -> None:
        """Reload the file whenever it changes, until cancelled."""
        while self._file is not None:
            await asyncio.sleep(LOOK_SECONDS)
            await self._look()

    async def _look(self) -> None:
        self._looked_at = time.monotonic()
        if self._stamp == (stamp := self._stamp_now()):
            return
        self._stamp = stamp
        try:
            self._serve(await asyncio.to_thread(load_shops, self._file))
        except ShopsFileError as error:
            log.error("shops.toml has changed but cannot be used; the previous shops stay in service: %s", error)
        else:
            log.warning("shops.toml was reloaded: %d shops are served", len(self.domains))

    def _serve(self, shops: Sequence[Shop]) -> None:
        self._by_key = {key: shop for shop in shops for key in shop.ingest_keys}
        self.domains = frozenset(shop.domain for shop in shops)

    def _stamp_now(self) -> tuple[int, int, int] | None:
        """Identifies a version of the file; None if it does not exist."""
        try:
            found = self._file.stat() if self._file else None
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_size, found.st_ino) if found else None
