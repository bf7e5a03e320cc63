"""A bounded spool of refused bodies, for debugging.

Writes refused bodies, with the reason, to `data/landing/rejected/*.jsonl`; they are never loaded. The spool keeps the
first kilobytes of each body, without personal data, in at most two files.
"""

import contextlib
import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import msgspec

from ingestion.collector.personal_data import redact_body

MAX_BODY_BYTES = 4 * 1024
MAX_FILE_BYTES = 8 * 1024 * 1024
MAX_WAITING = 256  # rejects waiting for the disk; further ones are counted but not kept

log = logging.getLogger(__name__)


class Reject(msgspec.Struct):
    """One refused body. index: its position in a batch; None for a whole body."""

    received_at: datetime
    shop: str
    request_id: str
    index: int | None
    reason: str
    body: str = ""


class RejectSpool:
    """The newest rejects; all workers append to one file."""

    def __init__(self, folder: Path, max_file_bytes: int = MAX_FILE_BYTES) -> None:
        """Write into `folder`, at most about twice `max_file_bytes`."""
        self._path = folder / "rejected.jsonl"
        self._older = folder / "rejected.older.jsonl"
        self._max_file_bytes = max_file_bytes
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rejects")  # senders do not wait for this disk
        self._waiting = 0
        self._counts: Counter[tuple[str, str]] = Counter()  # by shop and kind, since the last log line

    def add(self, reject: Reject, kind: str, body: bytes) -> None:
        """Queue a reject for writing by another thread. kind: for the log, because the reason may quote the event."""
        self._counts[reject.shop, kind] += 1
        if self._waiting < MAX_WAITING:
            self._waiting += 1
            self._thread.submit(self._write, reject, body)

    def log_counts(self) -> None:
        """Log how many were added since the last call, a line per shop and kind."""
        counts, self._counts = self._counts, Counter()
        for (shop, kind), count in sorted(counts.items()):
            log.warning("%d events or bodies were rejected: %s", count, kind, extra={"shop": shop, "count": count})

    def close(self) -> None:
        """Wait until everything is written."""
        self.log_counts()
        self._thread.shutdown()

    def _write(self, reject: Reject, body: bytes) -> None:
        """Disk errors are ignored: a failing spool must not stop the collector."""
        self._waiting -= 1
        text = redact_body(body)[:MAX_BODY_BYTES]
        line = msgspec.json.encode(msgspec.structs.replace(reject, body=text)) + b"\n"
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                file.write(line)
                size = file.tell()
            if size > self._max_file_bytes:
                self._path.replace(self._older)
