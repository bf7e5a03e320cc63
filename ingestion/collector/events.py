"""What a request body may hold, and how it becomes landing lines.

The bytes of a body flow in; envelopes (the good events) and rejections (index, reason, bytes) flow out.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, NamedTuple

import msgspec

from ingestion.collector.personal_data import EVENTS_WITH_PERSONAL_DATA, strip_json
from ingestion.landing import ENVELOPE_VERSION, Consent, Envelope, encode_envelope
from ingestion.shops import Shop

MAX_EVENTS = 100
MAX_EVENT_BYTES = 32 * 1024

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class _Batch(msgspec.Struct):
    """What our pixel sends: events of one page, and what holds for all of them."""

    events: list[msgspec.Raw]
    consent: Consent | None = None
    pixel_version: Annotated[str, msgspec.Meta(max_length=50)] | None = None


class _Event(msgspec.Struct):
    """What an event must have to be stored at all. Whatever else is wrong with it, the warehouse says."""

    id: _Name
    name: _Name


class _Location(msgspec.Struct):
    host: str | None = None


class _Document(msgspec.Struct):
    location: _Location | None = None


class _Context(msgspec.Struct):
    document: _Document | None = None


class _Page(msgspec.Struct):
    """Where an event happened, if it says so."""

    context: _Context | None = None


_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_batch = msgspec.json.Decoder(_Batch).decode
_decode_event = msgspec.json.Decoder(_Event).decode
_decode_page = msgspec.json.Decoder(_Page).decode


class BodyError(ValueError):
    """The body as a whole is not usable; nothing of it is stored."""


class TooLarge(BodyError):
    """The body holds more than is taken in one request."""


class Request(NamedTuple):
    """What the collector knows of a request besides its body. received_at: UTC."""

    request_id: str
    received_at: datetime
    shop: Shop
    visitor_hash: str | None
    user_agent: str | None
    origin: str | None
    gpc: bool


class Rejection(NamedTuple):
    """An event that is not stored, and why."""

    index: int
    reason: str
    event: bytes


@dataclass
class Parsed:
    """A body, taken apart. `lines` are ready to be written; `refused` events have no consent and are only counted."""

    lines: list[bytes] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    refused: int = 0


def parse_body(body: bytes, request: Request) -> Parsed:
    """Take a body apart: one event, an array of events, or the pixel's `{pixel_version, consent, events}`.

    Raises:
        BodyError: it is none of these.
        TooLarge: it has more than MAX_EVENTS events.
    """
    batch = _read_batch(body)
    if not _may_be_stored(batch.consent, request.shop):
        return Parsed(refused=len(batch.events))
    if len(batch.events) > MAX_EVENTS:
        raise TooLarge(f"{len(batch.events)} events in one request; send at most {MAX_EVENTS}")
    parsed = Parsed()
    for index, raw in enumerate(batch.events):
        event = bytes(raw)
        try:
            parsed.lines.append(_landing_line(event, index, batch, request))
        except ValueError as error:
            parsed.rejected.append(Rejection(index, str(error), event))
    return parsed


def _read_batch(body: bytes) -> _Batch:
    try:
        body.decode()  # msgspec does not look at the encoding of what it passes through
        if body.lstrip()[:1] == b"[":
            return _Batch(events=_decode_array(body))
        try:
            return _decode_batch(body)
        except msgspec.ValidationError as error:
            if "`events`" not in str(error):
                raise
            msgspec.json.decode(body, type=msgspec.Raw)
            return _Batch(events=[msgspec.Raw(body)])
    except UnicodeDecodeError as error:
        raise BodyError(f"not UTF-8: {error.reason} at byte {error.start}") from error
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BodyError(str(error)) from error


def _may_be_stored(consent: Consent | None, shop: Shop) -> bool:
    allowed = consent.analyticsProcessingAllowed if consent else None
    return not shop.require_consent if allowed is None else allowed


def _landing_line(event: bytes, index: int, batch: _Batch, request: Request) -> bytes:
    """The line of one event, its personal data taken out.

    Raises:
        ValueError: the event is too large, or has no id or name.
    """
    if len(event) > MAX_EVENT_BYTES:
        raise ValueError(f"{len(event)} bytes; an event may have {MAX_EVENT_BYTES}")
    try:
        if _decode_event(event).name.startswith(EVENTS_WITH_PERSONAL_DATA):
            event = strip_json(event)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(str(error)) from error
    return encode_envelope(
        Envelope(
            v=ENVELOPE_VERSION,
            received_at=request.received_at,
            shop=request.shop.domain,
            source="pixel",
            request_id=request.request_id,
            index=index,
            visitor_hash=request.visitor_hash,
            user_agent=request.user_agent,
            origin=request.origin,
            gpc=request.gpc,
            host_ok=_host_ok(event, request.shop),
            consent=batch.consent,
            pixel_version=batch.pixel_version,
            event=msgspec.Raw(event.strip()),
        )
    )


def _host_ok(event: bytes, shop: Shop) -> bool | None:
    try:
        host = _decode_page(event).context.document.location.host
    except (msgspec.MsgspecError, RecursionError, AttributeError):
        return None
    return None if host is None else host == shop.domain or host in shop.hosts
