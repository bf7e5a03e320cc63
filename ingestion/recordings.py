"""Recorded events, ready to be sent again.

Files of JSON or JSONL flow in (one event, an array of events, or a landing envelope at a time); request bodies for the
collector flow out.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from ingestion.landing import read_lines
from ingestion.sender import Post
from ingestion.shops import Shop, find_shop

STANDARD_INPUT = Path("-")


class RecordingError(Exception):
    """A file cannot be read as recorded events; the message says where."""


def recorded_posts(files: Iterable[Path], shops: list[Shop], default_shop: Shop) -> Iterator[Post]:
    """One request per recorded event; envelopes go to their own shop, everything else to `default_shop`.

    Raises:
        RecordingError: a file is missing or a line is not JSON; events before it are already yielded.
        ShopsFileError: an envelope names a shop that shops.toml does not have.
    """
    for file in files:
        for where, recorded in _read(file):
            if isinstance(recorded, dict) and "event" in recorded and "shop" in recorded:
                shop = find_shop(shops, recorded["shop"])
                about = {"pixel_version": recorded.get("pixel_version"), "consent": recorded.get("consent")}
                yield _post(shop, {**about, "events": [recorded["event"]]})
            elif isinstance(recorded, dict | list):
                for event in recorded if isinstance(recorded, list) else [recorded]:
                    yield _post(default_shop, {"events": [event]})
            else:
                raise RecordingError(f"{where} holds {type(recorded).__name__}, not an event.")


def _post(shop: Shop, body: dict[str, Any]) -> Post:
    return Post(shop.ingest_keys[0], msgspec.json.encode(body), len(body["events"]))


def _read(file: Path) -> Iterator[tuple[str, Any]]:
    """The JSON documents of a file: the whole file if it is one, else each line."""
    try:
        lines = list(sys.stdin.buffer if file == STANDARD_INPUT else read_lines(file))
    except OSError as error:
        raise RecordingError(f"{file} cannot be read ({error.strerror or error}).") from error
    try:
        yield str(file), msgspec.json.decode(b"\n".join(lines))
        return
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass  # not one document, so one a line
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield f"{file}, line {number},", msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RecordingError(f"{file}, line {number}, is not JSON: {error}") from error
