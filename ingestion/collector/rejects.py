"""A bounded spool of what the collector has refused, so that somebody can look at why.

Refused bodies flow in, with the reason; `data/landing/rejected/*.jsonl` flows out. It is for looking, not for loading:
a few kilobytes of each body, without what can be told as personal data, and never more than two files.
"""

import contextlib
from datetime import datetime
from pathlib import Path

import msgspec

from ingestion.collector.personal_data import redact_text

MAX_BODY_BYTES = 4 * 1024
MAX_FILE_BYTES = 8 * 1024 * 1024


class Reject(msgspec.Struct):
    """One refused body. index: its place in a batch, None for a whole body."""

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

    def add(self, reject: Reject, body: bytes) -> None:
        """Write one. A spool that cannot be written must not stop the collector, so errors are passed over."""
        text = redact_text(body[:MAX_BODY_BYTES]).decode(errors="backslashreplace")
        line = msgspec.json.encode(msgspec.structs.replace(reject, body=text)) + b"\n"
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                file.write(line)
                size = file.tell()
            if size > self._max_file_bytes:
                self._path.replace(self._older)
