"""Follows `current`: which published version is answered from.

data/published flows in; the newest version that could be read flows out, as a whole, whatever is removed meanwhile.
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
from serving.published import CURRENT, NothingPublished, published_folder, read_current

LOOK_SECONDS = 0.5  # between two looks at `current`
RETRY_SECONDS = 30.0  # before a version that could not be read is tried again
ATTEMPTS = 3  # to answer from one version, while versions vanish

Value = TypeVar("Value")

log = logging.getLogger(__name__)


class Versions:
    """Follows `current`: a new version is read in a thread, while requests are answered from the one before."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._link = published_folder(data) / CURRENT
        self.served: Version | None = None
        self._reading: Future[None] | None = None
        self._look_at = 0.0
        self._unreadable: tuple[str, float] = ("", 0.0)  # the version's name, and when it may be tried again

    async def watch(self) -> None:
        """Follow `current` though nobody asks: the first answer after a quiet night is of the newest version."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self._look()

    async def current(self) -> Version:
        """The version to answer from.

        Raises:
            Problem: there is none.
        """
        if time.monotonic() >= self._look_at:
            self._look()
        if self.served is None:
            await self._until_read()
        if self.served is None:
            raise Problem(
                503,
                f"Nothing that could be read is published in {self._data.name} yet.",
                "Run `pixelnova refresh` where the warehouse is; if it has been run, see the API's log.",
                {"retry-after": "30"},
            )
        return self.served

    async def answer(self, compose: Callable[[Version], Awaitable[Value]]) -> Value:
        """What is composed from one version as a whole, whatever becomes of the versions meanwhile.

        Raises:
            Problem: what there is to answer instead.
        """
        version = await self.current()
        for _ in range(ATTEMPTS):
            try:
                return await compose(version)
            except VersionGone:
                version = await self._after(version)
        raise Problem(503, "Versions vanish faster than they can be read.", "Ask again.", {"retry-after": "1"})

    async def _after(self, gone: Version) -> Version:
        if self.served is gone:
            await self._until_read()  # what is being read may be older than what `current` says now
        if self.served is gone:
            self._look()
            await self._until_read()
        if self.served is gone or self.served is None:
            raise Problem(
                503,
                f"The files of version {gone.name} have been removed, and there is no newer one.",
                "Run `pixelnova publish`.",
                {"retry-after": "30"},
            )
        return self.served

    async def _until_read(self) -> None:
        if self._reading is not None:
            await asyncio.shield(asyncio.wrap_future(self._reading))

    def _look(self) -> None:
        """Begin to read what `current` points to, if it is another version."""
        self._look_at = time.monotonic() + LOOK_SECONDS
        if self._reading is not None and not self._reading.done():
            return
        try:
            name = self._link.readlink().name
        except OSError:  # nothing is published, or no longer: what is served stays
            return
        unreadable, retry_at = self._unreadable
        if (self.served is not None and self.served.name == name) or (
            name == unreadable and time.monotonic() < retry_at
        ):
            return
        self._reading = Future()
        threading.Thread(target=self._read, args=(self._reading,), daemon=True).start()

    def _read(self, done: Future[None]) -> None:
        """Read the newest version, in a thread: answers must not wait for it."""
        name = ""
        try:
            for _ in range(ATTEMPTS):
                with contextlib.suppress(FileNotFoundError, NothingPublished):  # a newer one has taken its place
                    published = read_current(self._data)
                    name = published.folder.name
                    self.served = Version(published)
                    return
            self._unreadable = (name, time.monotonic() + RETRY_SECONDS)
            log.error("version %s lacks files: run `pixelnova publish`", name)
        except Exception as error:  # whatever is wrong with its files, the version before is still good
            self._unreadable = (name, time.monotonic() + RETRY_SECONDS)
            log.error("version %s cannot be read (%s): run `pixelnova publish`", name, error)
        finally:
            done.set_result(None)
