"""Parses request bodies into landing lines.

Reads the bytes of a body; returns envelopes (the valid events) and rejections (index, reason, bytes).
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Literal, NamedTuple

import msgspec

from ingestion.collector.personal_data import strip_json
from ingestion.collector.personal_text import clean_text
from ingestion.errors import IngestionError
from ingestion.landing import ENVELOPE_VERSION, Consent, Envelope, encode_envelope
from ingestion.shops import Shop

MAX_EVENTS = 100
MAX_EVENT_BYTES = 32 * 1024
MAX_HEADER_TEXT = 512

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class _Batch(msgspec.Struct):
    """The batch that our pixel and `pixelnova replay` send: events, and what applies to all of them.

    gpc: the browser has Global Privacy Control, for senders that are not the browser or send no `Sec-GPC`.
    user_agent: the shopper's, if the sender is not the shopper's browser; null means unknown.
    """

    events: list[msgspec.Raw]
    consent: Consent | None = None
    gpc: bool | None = None
    pixel_version: Annotated[str, msgspec.Meta(max_length=50)] | None = None
    user_agent: str | msgspec.UnsetType | None = msgspec.UNSET


class _Location(msgspec.Struct):
    host: str | None = None


class _Document(msgspec.Struct):
    location: _Location | None = None


class _Context(msgspec.Struct):
    document: _Document | None = None


class _Event(msgspec.Struct):
    """The fields an event must have to be stored. The warehouse checks everything else.

    consent: the event's own, for events sent without the pixel's batch.
    """

    id: _Name
    name: _Name
    consent: Consent | None = None


class _PlacedEvent(_Event):
    """An event with its location, if in Shopify's form. Decoded in one pass, because a second would double the cost."""

    context: _Context | None = None


_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_batch = msgspec.json.Decoder(_Batch).decode
_decode_event = msgspec.json.Decoder(_Event).decode
_decode_placed_event = msgspec.json.Decoder(_PlacedEvent).decode
_REFUSAL = re.compile(rb'"analyticsProcessingAllowed"\s*:\s*false')

# User agents of HTTP libraries and command-line tools: the sender is a server or a replay, not the shopper's browser.
_LIBRARY = re.compile(
    r"(?:python|aiohttp|httpx|curl|libcurl|wget|node|node-fetch|undici|axios|okhttp|go-http-client|java|apache-httpclient"
    r"|postmanruntime|insomnia|httpie|ruby|faraday|rest-client|guzzlehttp|php|symfony|dart|reqwest|hyper|deno|bun|restsharp"
    r"|libwww)(?:[/ _-]|$)",
    re.IGNORECASE,
)

Reason = Literal["malformed", "too_large"]


class BodyError(IngestionError, ValueError):
    """The body as a whole is unusable; nothing is stored."""

    reason: Reason = "malformed"


class TooLarge(BodyError):
    """The body or an event exceeds the size limit."""

    reason: Reason = "too_large"


class Request(NamedTuple):
    """What the collector knows about a request besides its body. received_at: UTC."""

    request_id: str
    received_at: datetime
    shop: Shop
    visitor_hash: str | None
    user_agent: str | None
    origin: str | None
    gpc: bool


class Rejection(NamedTuple):
    """An event that is not stored: a reason to count by, and a message."""

    index: int
    reason: Reason
    error: str
    event: bytes


@dataclass
class Parsed:
    """A parsed body. `lines` are ready to write; `refused` counts events without consent, `removed` personal data."""

    lines: list[bytes] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    refused: int = 0
    removed: Counter[str] = field(default_factory=Counter)


def parse_body(body: bytes, request: Request) -> Parsed:
    """Parse a body: one event, an array of events, or the pixel's `{pixel_version, consent, events}`.

    Raises:
        BodyError: the body has none of these forms.
        TooLarge: it has more than MAX_EVENTS events, or every event exceeds MAX_EVENT_BYTES.
    """
    batch = _read_batch(body)
    if batch.consent and batch.consent.analyticsProcessingAllowed is False:
        return Parsed(refused=len(batch.events))
    if len(batch.events) > MAX_EVENTS:
        raise TooLarge(f"{len(batch.events)} events in one request; send at most {MAX_EVENTS}")
    parsed = Parsed()
    for index, raw in enumerate(batch.events):
        event = bytes(raw)
        if refuses(event):
            parsed.refused += 1
            continue
        try:
            line = _landing_line(event, index, batch, request, parsed.removed)
        except BodyError as error:
            parsed.rejected.append(Rejection(index, error.reason, str(error), event))
        else:
            if line is None:
                parsed.refused += 1
            else:
                parsed.lines.append(line)
    if parsed.rejected and not parsed.lines and all(one.reason == "too_large" for one in parsed.rejected):
        raise TooLarge(parsed.rejected[0].error)
    return parsed


def _read_batch(body: bytes) -> _Batch:
    try:
        body.decode()  # msgspec does not check the encoding of raw values
        if body.lstrip()[:1] == b"[":
            return _Batch(events=_decode_array(body))
        try:
            return _decode_batch(body)
        except msgspec.ValidationError as error:
            if "`events`" not in str(error):
                raise
            return _Batch(events=[msgspec.Raw(body)])
    except UnicodeDecodeError as error:
        raise BodyError(f"not UTF-8: {error.reason} at byte {error.start}") from error
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BodyError(str(error)) from error


def refuses(text: bytes) -> bool:
    """Whether analytics is refused anywhere in this text, which may not be JSON."""
    return b"analyticsProcessingAllowed" in text and _REFUSAL.search(text) is not None


def _may_be_stored(consent: Consent | None, shop: Shop) -> bool:
    allowed = consent.analyticsProcessingAllowed if consent else None
    return not shop.require_consent if allowed is None else allowed


def _landing_line(event: bytes, index: int, batch: _Batch, request: Request, removed: Counter[str]) -> bytes | None:
    """The line of one event, without personal data; None if its consent does not allow storing it.

    Raises:
        BodyError: the event has no id or name, its consent cannot be read, or it is too large.
    """
    if len(event) > MAX_EVENT_BYTES:
        raise TooLarge(f"{len(event)} bytes; an event may have at most {MAX_EVENT_BYTES}")
    try:
        own_consent, host = _consent_and_host(event)
        consent = batch.consent if own_consent is None else own_consent
        if not _may_be_stored(consent, request.shop):
            return None
        event = strip_json(event, removed)
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
            user_agent=request.user_agent if batch.user_agent is msgspec.UNSET else header_text(batch.user_agent),
            origin=request.origin,
            gpc=request.gpc or batch.gpc is True,
            host_ok=None if host is None else host == request.shop.domain or host in request.shop.hosts,
            consent=consent,
            pixel_version=batch.pixel_version and clean_text(batch.pixel_version),
            event=msgspec.Raw(event.strip()),
        )
    )


def header_text(text: str | None) -> str | None:
    """A user agent or origin without personal data: crawlers put their owner's email address there."""
    return None if text is None else clean_text(text[:MAX_HEADER_TEXT], numbers=False)


def agent_of_shopper(user_agent: str | None) -> str | None:
    """The user agent of a request, unless it is that of a program that forwards events."""
    return None if user_agent is None or _LIBRARY.match(user_agent) else user_agent


def _consent_and_host(event: bytes) -> tuple[Consent | None, str | None]:
    """An event's own consent and the host of its page, if it has them.

    Raises:
        msgspec.MsgspecError, RecursionError: it has no id or name, or its consent is not in Shopify's form.
    """
    try:
        placed = _decode_placed_event(event)
    except msgspec.ValidationError:
        return _decode_event(event).consent, None  # its context is not in Shopify's form
    if placed.context is None or placed.context.document is None or placed.context.document.location is None:
        return placed.consent, None
    return placed.consent, placed.context.document.location.host
