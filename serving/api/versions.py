"""Follows `current`: selects the published version to serve.

Reads data/published, provides the newest readable version as a whole, even while versions are being removed.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

from serving.api.refusals import Problem
from serving.api.shops import Version, VersionGone
from serving.published import CURRENT, published_folder, read_version

POLL_SECONDS = 0.5  # between checks of `current`
RETRY_SECONDS = 30.0  # before an unreadable version is tried again
ATTEMPTS = 3  # to answer from one version while versions are being removed

Value = TypeVar("Value")

log = logging.getLogger(__name__)


class Versions:
    """Follows `current`: a thread reads the new version while requests use the previous one."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._link = published_folder(data) / CURRENT
        self.served: Version | None = None
        self._reading: Future[None] | None = None
        self._poll_at = 0.0
        self._unreadable: tuple[str, float] = ("", 0.0)  # the version's name, and when to try it again

    async def watch(self) -> None:
        """Follow `current` without requests, so that the first response after an idle time uses the newest version."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            self._poll()

    async def current(self) -> Version:
        """The version to serve.

        Raises:
            Problem: there is none.
        """
        if time.monotonic() >= self._poll_at:
            self._poll()
        if self.served is None:
            await self._until_read()
        if self.served is None:
            raise Problem(
                503,
                f"{self._data.name} has no readable published version yet.",
                "Run `pixelnova refresh` where the warehouse is; if it has already run, see the API's log.",
                {"retry-after": "30"},
            )
        return self.served

    async def answer(self, compose: Callable[[Version], Awaitable[Value]]) -> Value:
        """Compose a response from one version as a whole, retrying with the next one if its files are removed.

        Raises:
            Problem: no version is available, or the request cannot be served.
        """
        version = await self.current()
        for _ in range(ATTEMPTS):
            try:
                return await compose(version)
            except VersionGone:
                version = await self._after(version)
        raise Problem(503, "Versions are removed faster than they can be read.", "Retry.", {"retry-after": "1"})

    async def _after(self, gone: Version) -> Version:
        if self.served is gone:
            await self._until_read()  # the version being read may be older than `current`
        if self.served is gone:
            self._poll()
            await self._until_read()
        if self.served is gone or self.served is None:
            raise Problem(
                503,
                f"The files of version {gone.name} were removed, and no newer version was published.",
                "Run `pixelnova publish`.",
                {"retry-after": "30"},
            )
        return self.served

    async def _until_read(self) -> None:
        if self._reading is not None:
            await asyncio.shield(asyncio.wrap_future(self._reading))

    def _poll(self) -> None:
        """Start reading the target of `current` if it is another version."""
        self._poll_at = time.monotonic() + POLL_SECONDS
        if self._reading is not None and not self._reading.done():
            return
        try:
            name = self._link.readlink().name
        except OSError:  # nothing is published (any more): keep the served version
            return
        unreadable, retry_at = self._unreadable
        if (self.served is not None and self.served.name == name) or (
            name == unreadable and time.monotonic() < retry_at
        ):
            return
        self._reading = Future()
        threading.Thread(target=self._read, args=(self._reading,), daemon=True).start()

    def _read(self, done: Future[None]) -> None:
        """Read the newest version, in a thread: requests must not wait for it."""
        name = ""
        try:
            for _ in range(ATTEMPTS):
                with contextlib.suppress(FileNotFoundError):  # replaced by a newer one
                    folder = self._link.resolve()
                    name = folder.name  # known even if nothing can be read
                    self.served = Version(read_version(folder))
                    log.info("serving version %s", name)
                    return
            self._unreadable = (name, time.monotonic() + RETRY_SECONDS)
            log.error("version %s has missing files: run `pixelnova publish`", name)
        except Exception as error:  # whatever is wrong with its files, the previous version is still good
            self._unreadable = (name, time.monotonic() + RETRY_SECONDS)
            log.error("version %s cannot be read (%s): run `pixelnova publish`", name, error)
        finally:
            done.set_result(None)
