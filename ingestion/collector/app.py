"""The collector's HTTP contract, as a raw ASGI callable (a framework would add 30-90 microseconds per request).

    POST /v1/events/{ingest key}   204 all stored · 200 some stored · 400 · 401 · 408 · 413 · 429 · 503
    POST /v1/webhooks/shopify      200 kept · 400 · 401 · 404 unknown topic · 413 · 503
    GET  /healthz                  200 while the process is alive
    GET  /readyz                   200 while events can be stored, else 503
    GET  /metrics                  Prometheus text

431 (headers too large) and 408 (too slow) come from the layer below, protocol.py.
"""

import asyncio
import contextlib
import itertools
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from ingestion.collector.events import (
    BodyError,
    Parsed,
    Request,
    TooLarge,
    agent_of_shopper,
    header_text,
    parse_body,
    refuses,
)
from ingestion.collector.limits import Budget, BudgetSpent, RateLimit, network_of
from ingestion.collector.metrics import Metrics
from ingestion.collector.rejects import Reject, RejectSpool
from ingestion.collector.served_shops import ServedShops
from ingestion.collector.visitors import VisitorHash
from ingestion.collector.webhooks import SIGNATURE_CHARACTERS, WebhookRefused, is_signed, keep_webhook
from ingestion.collector.writer import MIN_FREE_BYTES, LandingWriter, NotWritten
from ingestion.shops import Shop

MAX_BODY_BYTES = 64 * 1024
MAX_WEBHOOK_BYTES = 2 * 1024 * 1024
MAX_WEBHOOK_BYTES_TOGETHER = 16 * 1024 * 1024  # the sender is known only after the whole body has arrived
HOUSEKEEPING_SECONDS = 600.0
EVENTS_PATH = "/v1/events/"
WEBHOOKS_PATH = "/v1/webhooks/shopify"

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
Answer = tuple[int, bytes, Headers]

log = logging.getLogger(__name__)

_PREFLIGHT = [
    (b"access-control-allow-methods", b"POST, OPTIONS"),
    (b"access-control-allow-headers", b"content-type"),
    (b"access-control-max-age", b"86400"),
]
_JSON = (b"content-type", b"application/json")
_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_PROMETHEUS = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")


@dataclass(frozen=True)
class CollectorSettings:
    """Settings of a collector.

    shops_file: the source of `shops`, reloaded when it changes. salts: folder of the daily salts.
    webhook_secrets: one or two client secrets of the Shopify app; without any, webhooks are refused.
    requests_per_second: per worker, ingest key and address; 0 is unlimited. burst: how many requests at once.
    """

    shops: Sequence[Shop]
    landing: Path
    salts: Path
    shops_file: Path | None = None
    webhook_secrets: Sequence[bytes] = ()
    requests_per_second: float = 50.0
    burst: float = 300.0
    min_free_bytes: int = MIN_FREE_BYTES


class Collector:
    """The ASGI application of one collector process."""

    def __init__(self, settings: CollectorSettings) -> None:
        self._settings = settings
        self._shops = ServedShops(settings.shops, settings.shops_file)
        self._metrics = Metrics(settings.landing)
        self._writer = LandingWriter(settings.landing, self._metrics, min_free_bytes=settings.min_free_bytes)
        self._rejects = RejectSpool(settings.landing / "rejected")
        self._limit = RateLimit(settings.requests_per_second, settings.burst)
        self._webhook_bytes = Budget(MAX_WEBHOOK_BYTES_TOGETHER)
        self._visitor_hash = VisitorHash(settings.salts)
        self._tasks: list[asyncio.Task[None]] = []
        self._process_id, self._request_numbers = f"{secrets.token_hex(6)}-", itertools.count()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, or handle the server's startup and shutdown."""
        if scope["type"] == "lifespan":
            await self._follow_lifespan(receive, send)
            return
        headers = dict(scope["headers"])
        try:
            status, body, extra = await self._answer(scope, headers, receive)
        except Exception:  # a bug in this code; the response still needs CORS headers
            log.exception("failed to answer a %s request", scope["method"])  # the path comes from the sender
            status, body, extra = self._counted(_problem(500, "internal error; see the log of the collector"))
        await send({"type": "http.response.start", "status": status, "headers": _cors(headers) + extra})
        await send({"type": "http.response.body", "body": body})

    async def _follow_lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self._writer.start()
                self._tasks = [asyncio.create_task(self._keep_house()), asyncio.create_task(self._shops.follow())]
                log.info("collecting events of %d shops", len(self._shops.domains))
                await send({"type": "lifespan.startup.complete"})
            else:
                for task in self._tasks:
                    task.cancel()
                await self._writer.close()
                await asyncio.to_thread(self._rejects.close)
                log.info("the collector has stopped")
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _keep_house(self) -> None:
        while True:
            with contextlib.suppress(OSError):
                self._visitor_hash.forget(datetime.now(UTC))
            self._rejects.log_counts()
            await asyncio.sleep(HOUSEKEEPING_SECONDS)

    async def _answer(self, scope: Message, headers: dict[bytes, bytes], receive: Receive) -> Answer:
        method, path = scope["method"], scope["path"]
        if path.startswith(EVENTS_PATH):
            if method == "POST":
                key = path.removeprefix(EVENTS_PATH)
                return self._counted(await self._take_events(key, _address(scope), headers, receive))
            if method == "OPTIONS":
                return 204, b"", _PREFLIGHT
            return _problem(405, "send events with POST")
        if path == WEBHOOKS_PATH:
            if method == "POST":
                return self._counted(await self._take_webhook(headers, receive))
            return _problem(405, "send webhooks with POST")
        if path == "/healthz":
            return 200, b"ok\n", [_TEXT]
        if path == "/readyz":
            problem = self._writer.why_not_ready()
            return (503, f"not ready: {problem}\n".encode(), [_TEXT]) if problem else (200, b"ready\n", [_TEXT])
        if path == "/metrics":
            return 200, self._metrics.text(), [_PROMETHEUS]
        return _problem(404, f"not found; send events to {EVENTS_PATH}<ingest key>")

    def _counted(self, answer: Answer) -> Answer:
        if answer[0] >= 400:
            self._metrics.refused_requests.labels(str(answer[0])).inc()
        return answer

    async def _take_events(self, key: str, address: str, headers: dict[bytes, bytes], receive: Receive) -> Answer:
        shop = self._shops.by_key(key)
        if not self._limit.allows(key if shop else "", network_of(address)):
            return _problem(429, "too many requests; send again later", [(b"retry-after", b"5")])
        shop = shop or await self._shops.look_up(key)
        if shop is None:
            return _problem(401, "unknown ingest key: it is not in the shops.toml of this collector")
        now = datetime.now(UTC)
        user_agent = agent_of_shopper(_text(headers.get(b"user-agent")))
        try:
            visitor_hash = self._visitor_hash(address, user_agent, shop.domain, now)
        except OSError as error:
            return _problem(503, f"not stored, send again: {error.strerror}", [(b"retry-after", b"5")])
        request = Request(
            request_id=f"{self._process_id}{next(self._request_numbers):x}",
            received_at=now,
            shop=shop,
            visitor_hash=visitor_hash,
            user_agent=user_agent,
            origin=_text(headers.get(b"origin")),
            gpc=headers.get(b"sec-gpc") == b"1",
        )
        try:
            body = await _read_body(receive, headers, MAX_BODY_BYTES)
        except BodyError as error:
            return _problem(413 if isinstance(error, TooLarge) else 408, str(error))
        try:
            parsed = parse_body(body, request)
        except BodyError as error:
            self._metrics.rejected[error.reason].inc()
            self._reject(request, None, error.reason, str(error), b"" if _may_lack_consent(body, shop) else body)
            return _problem(413 if isinstance(error, TooLarge) else 400, str(error))
        return await self._store(parsed, request)

    async def _store(self, parsed: Parsed, request: Request) -> Answer:
        if parsed.lines:
            try:
                await self._writer.append(b"".join(parsed.lines))
            except NotWritten as error:
                return _problem(503, f"not stored, send again: {error}", [(b"retry-after", b"5")])
            self._metrics.stored.inc(len(parsed.lines))
            for rule, count in parsed.removed.items():
                self._metrics.personal_data_removed[rule].inc(count)
        if parsed.refused:
            self._metrics.consent_refused.inc(parsed.refused)
        if not parsed.rejected:
            return 204, b"", []
        for index, reason, error, event in parsed.rejected:
            self._metrics.rejected[reason].inc()
            self._reject(request, index, reason, error, b"" if _may_lack_consent(event, request.shop) else event)
        rejected = [{"index": index, "error": error} for index, _, error, _ in parsed.rejected]
        answer = {"accepted": len(parsed.lines), "rejected": rejected}
        return 200 if parsed.lines else 400, msgspec.json.encode(answer), [_JSON]

    def _reject(self, request: Request, index: int | None, kind: str, reason: str, body: bytes) -> None:
        reject = Reject(request.received_at, request.shop.domain, request.request_id, index, reason)
        self._rejects.add(reject, kind, body)

    async def _take_webhook(self, headers: dict[bytes, bytes], receive: Receive) -> Answer:
        client_secrets = self._settings.webhook_secrets
        if not client_secrets:
            return _problem(503, "no client secret is set: see PIXELNOVA_SHOPIFY_SECRETS in docs/operations.md")
        signature = headers.get(b"x-shopify-hmac-sha256", b"")
        if len(signature) != SIGNATURE_CHARACTERS:  # checked before the body is read
            return _problem(401, "no signature in X-Shopify-Hmac-Sha256")
        folder, now = self._settings.landing / "webhooks", datetime.now(UTC)
        with self._webhook_bytes.share() as share:
            try:
                body = await _read_body(receive, headers, MAX_WEBHOOK_BYTES, share.take)
                if not await asyncio.to_thread(is_signed, body, signature, client_secrets):
                    return _problem(401, "the signature does not match the body")
                path = await asyncio.to_thread(keep_webhook, folder, headers, body, now, self._shops.domains)
            except BodyError as error:
                return _problem(413 if isinstance(error, TooLarge) else 408, str(error))
            except WebhookRefused as refusal:
                return _problem(refusal.status, str(refusal))
            except (OSError, BudgetSpent) as error:
                return _problem(503, f"not kept, send again: {error}", [(b"retry-after", b"5")])
        self._metrics.webhooks.labels(path.parent.name).inc()
        log.info("kept a webhook: %s", path.parent.name, extra={"shop": _text(headers.get(b"x-shopify-shop-domain"))})
        return 200, b"", []


def _may_lack_consent(body: bytes, shop: Shop) -> bool:
    """Whether an unreadable body may come from a visitor who did not consent to being stored."""
    return shop.require_consent or refuses(body)


def _problem(status: int, error: str, headers: Headers | None = None) -> Answer:
    return status, msgspec.json.encode({"error": error}), [_JSON, *(headers or [])]


def _cors(headers: dict[bytes, bytes]) -> Headers:
    """Allow any origin: Shopify's sandboxes have the origin `null`, which does not identify the sender."""
    return [
        (b"access-control-allow-origin", headers.get(b"origin", b"*")),
        (b"access-control-allow-credentials", b"true"),  # required by sendBeacon; no cookie is read or set
        (b"vary", b"Origin"),
    ]


def _address(scope: Message) -> str:
    """The client's address; behind a proxy trusted by FORWARDED_ALLOW_IPS, uvicorn sets the forwarded one."""
    client = scope.get("client")
    return client[0] if client else ""


def _text(header: bytes | None) -> str | None:
    return None if header is None else header_text(header.decode("latin-1"))


async def _read_body(
    receive: Receive, headers: dict[bytes, bytes], max_bytes: int, take: Callable[[int], None] = lambda size: None
) -> bytes:
    """The whole body; protocol.py enforces the deadline. take: called with the size of each piece before it is kept.

    Raises:
        TooLarge: the body or its declared length exceeds `max_bytes`.
        BodyError: the client disconnected.
    """
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length) > max_bytes:
        raise TooLarge(f"the body is over {max_bytes} bytes; send fewer events at a time")
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BodyError("the client disconnected, or was too slow")
        piece = message.get("body", b"")
        take(len(piece))
        body += piece
        if len(body) > max_bytes:
            raise TooLarge(f"the body is over {max_bytes} bytes; send fewer events at a time")
        if not message.get("more_body"):
            return bytes(body)
