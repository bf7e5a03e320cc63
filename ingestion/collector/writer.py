"""Group commit: many requests share one sync, and each is answered when its own lines are on disk.

Takes lines from the request handlers; writes landing files. Lines that arrive during a commit form the next one, so the
disk's speed sets the batch size and no timer delays a response.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from ingestion.collector.metrics import Metrics
from ingestion.errors import IngestionError
from ingestion.landing import OpenLandingFile, recover

MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_FILE_SECONDS = 60.0
MAX_PENDING_BYTES = 8 * 1024 * 1024  # beyond this, a stalled disk causes 503 responses rather than memory growth
MAX_COMMIT_BYTES = 1024 * 1024
MIN_FREE_BYTES = 128 * 1024 * 1024  # refuse before the disk is full: the loader needs space too
RETRY_SECONDS = 10.0
HOUR = 3600

log = logging.getLogger(__name__)


class NotWritten(IngestionError):
    """The lines are not on disk; the sender should retry later."""


class _Waiting(NamedTuple):
    lines: bytes
    written: asyncio.Future[None]


class LandingWriter:
    """Appends lines durably to one landing file at a time; seals it by size, by age and on the hour."""

    def __init__(
        self,
        folder: Path,
        metrics: Metrics,
        max_file_bytes: int = MAX_FILE_BYTES,
        max_file_seconds: float = MAX_FILE_SECONDS,
        max_pending_bytes: int = MAX_PENDING_BYTES,
        min_free_bytes: int = MIN_FREE_BYTES,
    ) -> None:
        """Write into `folder`.

        Args:
            max_file_bytes: size at which a file is sealed.
            max_file_seconds: age at which a file is sealed.
            max_pending_bytes: limit of bytes waiting for the disk; more is refused.
            min_free_bytes: with less free space on the disk, nothing is written.
        """
        self._folder = folder
        self._metrics = metrics
        self._max_file_bytes = max_file_bytes
        self._max_file_seconds = max_file_seconds
        self._max_pending_bytes = max_pending_bytes
        self._min_free_bytes = min_free_bytes
        self._file: OpenLandingFile | None = None
        self._seal_at = 0.0  # wall clock
        self._queue: list[_Waiting] = []
        self._pending_bytes = 0
        self._wake = asyncio.Event()
        self._closing = False
        self._committer: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="landing")  # so that nothing else delays a commit
        self.problem: str | None = None  # why the last commit failed; None after a success
        self._failed_at = 0.0

    async def start(self) -> None:
        """Seal leftovers of earlier processes and start committing."""
        for file in await asyncio.to_thread(recover, self._folder):
            log.info("sealed the landing file of a dead process: %s", file.name)
        self._committer = asyncio.create_task(self._commit_forever())
        self._committer.add_done_callback(self._ended)

    def why_not_ready(self) -> str | None:
        """Why the collector is not ready, or None. A failed write stops counting after RETRY_SECONDS."""
        if self._no_room():
            return self._no_room()
        if self._pending_bytes > self._max_pending_bytes / 2:
            return "the disk is too slow"
        return self.problem if time.monotonic() - self._failed_at < RETRY_SECONDS else None

    async def append(self, lines: bytes) -> None:
        """Return when `lines` are on disk.

        Raises:
            NotWritten: the write failed, or too many bytes are waiting already.
        """
        if self._closing or self._committer is None or self._committer.done():
            raise NotWritten(self.problem or "the collector is stopping")
        if self._pending_bytes + len(lines) > self._max_pending_bytes:
            self._metrics.pending_bytes.set(self._pending_bytes)
            raise NotWritten("the disk is too slow")
        waiting = _Waiting(lines, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._pending_bytes += len(lines)
        self._wake.set()
        await waiting.written

    async def close(self) -> None:
        """Commit pending lines, seal the file and stop."""
        self._closing = True
        self._wake.set()
        if self._committer:
            await self._committer

    def _ended(self, committer: asyncio.Task[None]) -> None:
        """Fail pending appends when the committer dies."""
        if not committer.cancelled() and committer.exception():
            log.error("the committer has failed", exc_info=committer.exception())
            self.problem = f"the committer has failed: {committer.exception()}"
        for waiting in self._queue:
            if not waiting.written.done():
                waiting.written.set_exception(NotWritten(self.problem or "the collector is stopping"))
        self._queue = []

    async def _commit_forever(self) -> None:
        while not (self._closing and not self._queue):
            if not self._queue:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), self._seconds_to_seal())
            self._wake.clear()
            if self._queue:
                await self._commit(self._next_batch())
            if self._file and (self._file.size >= self._max_file_bytes or time.time() >= self._seal_at):
                await self._in_thread(self._seal)
        await self._in_thread(self._seal)

    async def _in_thread(self, work: Callable[..., None], *arguments: bytes) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    def _next_batch(self) -> list[_Waiting]:
        """The lines of the next commit: the whole queue, up to MAX_COMMIT_BYTES."""
        size = count = 0
        for waiting in self._queue:
            if count and size + len(waiting.lines) > MAX_COMMIT_BYTES:
                break
            size += len(waiting.lines)
            count += 1
        batch, self._queue = self._queue[:count], self._queue[count:]
        return batch

    async def _commit(self, batch: list[_Waiting]) -> None:
        lines = b"".join([waiting.lines for waiting in batch])
        self._metrics.pending_bytes.set(self._pending_bytes)  # the metric to watch while the disk is slow
        started = time.perf_counter()
        failure: NotWritten | None = None
        try:
            await self._in_thread(self._write, lines)
            if self.problem:
                log.warning("landing files can be written again")
            self.problem = None
        except Exception as error:  # whatever failed: answer the waiting requests and go on
            problem = str(error) or repr(error)
            if problem != self.problem:  # not for each of a thousand requests while the disk is full
                log.error("cannot write to %s: %r", self._folder, error)
            self.problem, self._failed_at = problem, time.monotonic()
            failure = NotWritten(self.problem)
        self._pending_bytes -= len(lines)
        self._metrics.commit_seconds.observe(time.perf_counter() - started)
        self._metrics.commit_requests.observe(len(batch))
        self._metrics.pending_bytes.set(self._pending_bytes)
        for waiting in batch:
            if waiting.written.done():
                continue  # its client has disconnected
            if failure:
                waiting.written.set_exception(failure)
            else:
                waiting.written.set_result(None)

    def _write(self, lines: bytes) -> None:
        no_room = self._no_room()
        if no_room:
            raise OSError(no_room)
        if self._file is None:
            with contextlib.suppress(OSError):
                recover(self._folder)  # files that could not be sealed earlier
            now = time.time()
            self._file = OpenLandingFile(self._folder)
            self._seal_at = min(now + self._max_file_seconds, (now // HOUR + 1) * HOUR)
        try:
            self._file.append(lines)
        except OSError:
            # After a failed sync the contents on disk are unknown, so this descriptor is never used again;
            # acknowledged lines are complete in the file, and recovery seals them.
            failed, self._file = self._file, None
            failed.abandon()
            with contextlib.suppress(OSError):
                recover(self._folder)
            raise

    def _no_room(self) -> str | None:
        disk = os.statvfs(self._folder)
        if disk.f_bavail * disk.f_frsize < self._min_free_bytes:
            return f"less than {self._min_free_bytes} bytes are free on the disk of {self._folder}"
        return None

    def _seal(self) -> None:
        if self._file:
            sealing, self._file = self._file, None
            try:
                size, file = sealing.size, sealing.seal()
                if size:
                    log.info("sealed %s", file.name, extra={"bytes": size})
            except OSError as error:  # the file is complete, and is sealed when the next one is created
                log.error("cannot seal a landing file in %s: %s", self._folder, error)
                sealing.abandon()

    def _seconds_to_seal(self) -> float | None:
        return max(0.0, self._seal_at - time.time()) if self._file else None
