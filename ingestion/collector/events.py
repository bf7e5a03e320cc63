"""What a request body may hold, and how it becomes landing lines.

The bytes of a body flow in; envelopes (the good events) and rejections (index, reason, bytes) flow out.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Literal, NamedTuple

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


class _Consent(msgspec.Struct):
    """What an event that comes by itself says of consent."""

    consent: Consent | None = None


class _Location(msgspec.Struct):
    host: str | None = None


class _Document(msgspec.Struct):
    location: _Location | None = None


class _Context(msgspec.Struct):
    document: _Document | None = None


class _Event(msgspec.Struct):
    """What an event must have to be stored at all. Whatever else is wrong with it, the warehouse says."""

    id: _Name
    name: _Name


class _PlacedEvent(_Event):
    """An event, and where it happened if it says so as Shopify does. One look at the bytes, where two cost twice."""

    context: _Context | None = None


_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_batch = msgspec.json.Decoder(_Batch).decode
_decode_consent = msgspec.json.Decoder(_Consent).decode
_decode_event = msgspec.json.Decoder(_Event).decode
_decode_placed_event = msgspec.json.Decoder(_PlacedEvent).decode

Reason = Literal["malformed", "too_large"]


class BodyError(ValueError):
    """The body as a whole is not usable; nothing of it is stored."""

    reason: Reason = "malformed"


class TooLarge(BodyError):
    """The body, or an event, holds more than is taken."""

    reason: Reason = "too_large"


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
    """An event that is not stored, and why: in a word to count by, and in a sentence."""

    index: int
    reason: Reason
    error: str
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
        TooLarge: it has more than MAX_EVENTS events, or none that is not over MAX_EVENT_BYTES.
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
        except BodyError as error:
            parsed.rejected.append(Rejection(index, error.reason, str(error), event))
    if parsed.rejected and not parsed.lines and all(one.reason == "too_large" for one in parsed.rejected):
        raise TooLarge(parsed.rejected[0].error)
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
            return _Batch(events=[msgspec.Raw(body)], consent=_decode_consent(body).consent)
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
        BodyError: the event has no id or name, or is too large.
    """
    if len(event) > MAX_EVENT_BYTES:
        raise TooLarge(f"{len(event)} bytes; an event may have {MAX_EVENT_BYTES}")
    try:
        name, host = _name_and_host(event)
        if name.startswith(EVENTS_WITH_PERSONAL_DATA):
            event = strip_json(event)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BodyError(str(error)) from error
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
            host_ok=None if host is None else host == request.shop.domain or host in request.shop.hosts,
            consent=batch.consent,
            pixel_version=batch.pixel_version,
            event=msgspec.Raw(event.strip()),
        )
    )


def _name_and_host(event: bytes) -> tuple[str, str | None]:
    """An event's name, and the host of its page if it names one.

    Raises:
        msgspec.MsgspecError, RecursionError: it has no id or name.
    """
    try:
        placed = _decode_placed_event(event)
    except msgspec.ValidationError:
        return _decode_event(event).name, None  # its context is none of Shopify's
    if placed.context is None or placed.context.document is None or placed.context.document.location is None:
        return placed.name, None
    return placed.name, placed.context.document.location.host
