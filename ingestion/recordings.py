"""Recorded events, ready to be replayed.

Reads files of JSON or JSONL (one event, an array of events, or a landing envelope at a time); yields request bodies for
the collector, each event byte for byte as in its file.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from ingestion.errors import IngestionError
from ingestion.landing import read_lines
from ingestion.sender import Post
from ingestion.shops import Shop, find_shop

STANDARD_INPUT = Path("-")
_NULL = msgspec.Raw(b"null")


class RecordingError(IngestionError):
    """A file cannot be read as recorded events; the message names the place."""


class _Envelope(msgspec.Struct):
    """The replayed fields of a landing envelope; a bare event has neither shop nor event."""

    shop: str | None = None
    event: msgspec.Raw = _NULL
    consent: msgspec.Raw = _NULL
    gpc: msgspec.Raw = _NULL
    pixel_version: msgspec.Raw = _NULL
    user_agent: msgspec.Raw = _NULL


def recorded_posts(files: Iterable[Path], shops: list[Shop], default_shop: Shop) -> Iterator[Post]:
    """One request per recorded event; envelopes go to their own shop, everything else to `default_shop`.

    Raises:
        RecordingError: a file is missing or a line is not JSON; events before it have been yielded already.
        ShopsFileError: an envelope names a shop that shops.toml does not have.
    """
    for file in files:
        for where, document in _documents(file):
            for recorded in _elements(where, document):
                yield _post(where, recorded, shops, default_shop)


def _documents(file: Path) -> Iterator[tuple[str, bytes]]:
    """The JSON documents of a file: the whole file if it is a document, else each line."""
    try:
        lines = list(sys.stdin.buffer if file == STANDARD_INPUT else read_lines(file))
    except OSError as error:
        raise RecordingError(f"{file} cannot be read ({error.strerror or error}).") from error
    whole = b"\n".join(lines)
    if _is_json(whole):
        yield str(file), whole
        return
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{file}, line {number},"
        if not _is_json(line):
            raise RecordingError(f"{where} is not JSON.")
        yield where, line


def _is_json(text: bytes) -> bool:
    try:
        text.decode()
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _elements(where: str, document: bytes) -> list[bytes]:
    start = document.lstrip()[:1]
    if start == b"[":
        return [bytes(element) for element in msgspec.json.decode(document, type=list[msgspec.Raw])]
    if start == b"{":
        return [document]
    raise RecordingError(f"{where} holds {document[:40].decode(errors='replace')!r}, not an event.")


def _post(where: str, recorded: bytes, shops: list[Shop], default_shop: Shop) -> Post:
    try:
        envelope = msgspec.json.decode(recorded, type=_Envelope)
    except msgspec.DecodeError as error:
        raise RecordingError(f"{where} is neither an event nor an envelope: {error}") from error
    shop, event, user_agent, gpc = default_shop, recorded, _NULL, _NULL
    if envelope.shop is not None and envelope.event != _NULL:
        shop, event = find_shop(shops, envelope.shop), bytes(envelope.event)
        user_agent, gpc = envelope.user_agent, envelope.gpc
    # Sent even if null: the user agent of the replaying program is not the shopper's.
    said = {"pixel_version": envelope.pixel_version, "consent": envelope.consent, "gpc": gpc}
    about = said | {"user_agent": user_agent}
    return Post(shop.ingest_keys[0], msgspec.json.encode(about)[:-1] + b',"events":[%b]}' % event, 1)
