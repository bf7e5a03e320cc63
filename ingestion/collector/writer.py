"""Group commit: many requests share one sync, and each is answered when its own lines are on disk.

Lines flow in from the request handlers; landing files flow out. While one commit is under way the next gathers, so
the disk's own speed sets the batch size and no timer delays an answer.
"""

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass
from pathlib import Path

from ingestion.landing import OpenLandingFile, recover

MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_FILE_SECONDS = 60.0
MAX_PENDING_BYTES = 8 * 1024 * 1024

log = logging.getLogger(__name__)


class NotWritten(Exception):
    """The lines are not on disk; the sender should try again later."""


@dataclass
class _Waiting:
    lines: bytes
    written: asyncio.Future[None]


class LandingWriter:
    """Appends lines durably to one landing file at a time and seals it by size and age."""

    def __init__(
        self,
        folder: Path,
        max_file_bytes: int = MAX_FILE_BYTES,
        max_file_seconds: float = MAX_FILE_SECONDS,
    ) -> None:
        """Write into `folder`; a file is sealed at `max_file_bytes` or `max_file_seconds` after it was begun."""
        self._folder = folder
        self._max_file_bytes = max_file_bytes
        self._max_file_seconds = max_file_seconds
        self._file: OpenLandingFile | None = None
        self._file_until = 0.0
        self._queue: list[_Waiting] = []
        self._queued_bytes = 0
        self._wake = asyncio.Event()
        self._closing = False
        self._committer: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Seal what an earlier process left behind and begin to commit."""
        await asyncio.to_thread(recover, self._folder)
        self._committer = asyncio.create_task(self._commit_forever())

    async def append(self, lines: bytes) -> None:
        """Return when `lines` are on disk.

        Raises:
            NotWritten: they are not, because the disk refused them or too much waits already.
        """
        if self._closing or self._queued_bytes + len(lines) > MAX_PENDING_BYTES:
            raise NotWritten("the collector is busy or stopping")
        waiting = _Waiting(lines, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._queued_bytes += len(lines)
        self._wake.set()
        await waiting.written

    async def close(self) -> None:
        """Commit what waits, seal the file and end."""
        self._closing = True
        self._wake.set()
        if self._committer:
            await self._committer

    async def _commit_forever(self) -> None:
        while not (self._closing and not self._queue):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._seconds_to_seal())
            self._wake.clear()
            batch, self._queue, self._queued_bytes = self._queue, [], 0
            if batch:
                await self._commit(batch)
            if self._file and (self._file.size >= self._max_file_bytes or time.monotonic() >= self._file_until):
                await asyncio.to_thread(self._seal)
        await asyncio.to_thread(self._seal)

    async def _commit(self, batch: list[_Waiting]) -> None:
        try:
            await asyncio.to_thread(self._write, b"".join(waiting.lines for waiting in batch))
            failure = None
        except OSError as error:
            log.error("cannot write to %s: %s", self._folder, error)
            failure = NotWritten(str(error))
        for waiting in batch:
            if waiting.written.cancelled():
                continue  # its client has gone; the others still want their answer
            if failure:
                waiting.written.set_exception(failure)
            else:
                waiting.written.set_result(None)

    def _write(self, lines: bytes) -> None:
        if self._file is None:
            self._file = OpenLandingFile(self._folder)
            self._file_until = time.monotonic() + self._max_file_seconds
        try:
            self._file.append(lines)
        except OSError:
            # After a failed sync nobody knows what the disk holds, so this descriptor is never used again;
            # what was acknowledged before is whole in the file, and recovery seals it.
            self._file.abandon()
            self._file = None
            with contextlib.suppress(OSError):
                recover(self._folder)
            raise

    def _seal(self) -> None:
        if self._file:
            self._file.seal()
            self._file = None

    def _seconds_to_seal(self) -> float | None:
        return max(0.0, self._file_until - time.monotonic()) if self._file else None
