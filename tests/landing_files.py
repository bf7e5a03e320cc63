"""Landing files for tests: short constructors of envelopes and sealed files, and the events in open ones."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from ingestion.landing import (
    ENVELOPE_VERSION,
    Envelope,
    OpenLandingFile,
    decode_envelope,
    encode_envelope,
    open_files,
)

RECEIVED_AT = datetime(2026, 11, 22, 12, tzinfo=UTC)


def envelope(event: Any, **changes: Any) -> Envelope:
    """An envelope with this event (bytes unchanged, other values as JSON) and default values."""
    fields = {
        "v": ENVELOPE_VERSION,
        "received_at": RECEIVED_AT,
        "shop": "a.myshopify.com",
        "source": "pixel",
        "request_id": "r",
        "index": 0,
        "visitor_hash": None,
        "user_agent": None,
        "origin": None,
        "gpc": False,
        "host_ok": None,
        "consent": None,
        "pixel_version": None,
        "event": msgspec.Raw(event if isinstance(event, bytes) else msgspec.json.encode(event)),
    }
    return Envelope(**{**fields, **changes})


def line(event: Any, **changes: Any) -> bytes:
    """The landing line of an event."""
    return encode_envelope(envelope(event, **changes))


def land(landing: Path, lines: Iterable[bytes]) -> Path:
    """Write lines into one sealed landing file."""
    landing.mkdir(parents=True, exist_ok=True)
    file = OpenLandingFile(landing)
    file.append(b"".join(lines))
    return file.seal()


def land_events(landing: Path, shop: str, events: Iterable[dict[str, Any]]) -> Path:
    """Write the events of a shop into one sealed landing file."""
    return land(landing, (line(event, shop=shop, request_id=f"r{n}") for n, event in enumerate(events)))


def open_events(landing: Path) -> list[dict[str, Any]]:
    """The events that a collector has written so far, without a line that it is still writing."""
    complete = (file.read_bytes().rpartition(b"\n")[0] for file in open_files(landing))
    return [msgspec.json.decode(decode_envelope(line).event) for lines in complete for line in lines.splitlines()]
