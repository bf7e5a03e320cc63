"""The collector's HTTP contract, as a raw ASGI callable (a framework costs 30-90 microseconds a request here).

POST /v1/events/{ingest key}   204 all stored · 200 partly, with the rejected · 400 · 401 · 413 · 503
GET  /healthz                  200 while the process lives
GET  /metrics                  Prometheus text
"""

import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from ingestion.collector.events import BodyError, Request, TooLarge, parse_body
from ingestion.collector.writer import LandingWriter, NotWritten
from ingestion.shops import Shop

MAX_BODY_BYTES = 64 * 1024
MAX_HEADER_TEXT = 512
EVENTS_PATH = "/v1/events/"

Message = dict[str, object]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Collector:
    """The ASGI application of one collector process."""

    def __init__(self, shops: list[Shop], landing_folder: Path) -> None:
        """Serve `shops`, writing to `landing_folder`."""
        self._shop_by_key = {key: shop for shop in shops for key in shop.ingest_keys}
        self._writer = LandingWriter(landing_folder)
        self._events = Counter({"stored": 0, "rejected": 0, "consent_refused": 0})

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, or follow the server's start and stop."""
        if scope["type"] == "lifespan":
            await self._follow_lifespan(receive, send)
            return
        headers = dict(scope["headers"])
        status, body, extra = await self._answer(scope, headers, receive)
        await send({"type": "http.response.start", "status": status, "headers": [*_cors(headers), *extra]})
        await send({"type": "http.response.body", "body": body})

    async def _follow_lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self._writer.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                await self._writer.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _answer(self, scope: Message, headers: dict[bytes, bytes], receive: Receive):
        method, path = scope["method"], scope["path"]
        if path.startswith(EVENTS_PATH):
            if method == "OPTIONS":
                return 204, b"", [(b"access-control-max-age", b"86400")]
            if method == "POST":
                return await self._take_events(path.removeprefix(EVENTS_PATH), headers, receive)
            return _problem(405, "send events with POST")
        if path == "/healthz":
            return 200, b"ok\n", [(b"content-type", b"text/plain")]
        if path == "/metrics":
            return 200, self._metrics(), [(b"content-type", b"text/plain; version=0.0.4")]
        return _problem(404, f"nothing is here; events go to {EVENTS_PATH}<ingest key>")

    async def _take_events(self, key: str, headers: dict[bytes, bytes], receive: Receive):
        shop = self._shop_by_key.get(key)
        if shop is None:
            return _problem(401, "unknown ingest key; shops.toml lists the keys")
        request = Request(
            request_id=secrets.token_hex(8),
            received_at=datetime.now(UTC),
            shop=shop,
            user_agent=_text(headers.get(b"user-agent")),
            origin=_text(headers.get(b"origin")),
            gpc=headers.get(b"sec-gpc") == b"1",
        )
        try:
            parsed = parse_body(await _read_body(receive), request)
        except TooLarge as error:
            return _problem(413, str(error))
        except BodyError as error:
            self._events["rejected"] += 1
            return _problem(400, str(error))
        if parsed.lines:
            try:
                await self._writer.append(b"".join(parsed.lines))
            except NotWritten as error:
                return _problem(503, f"not stored, send again: {error}", [(b"retry-after", b"5")])
        self._events["stored"] += len(parsed.lines)
        self._events["rejected"] += len(parsed.rejected)
        self._events["consent_refused"] += parsed.refused
        if not parsed.rejected:
            return 204, b"", []
        rejected = [{"index": index, "error": error} for index, error in parsed.rejected]
        answer = {"accepted": len(parsed.lines), "rejected": rejected}
        return 200 if parsed.lines else 400, msgspec.json.encode(answer), [_JSON]

    def _metrics(self) -> bytes:
        name = "pixelnova_collector_events_total"
        lines = [f"# HELP {name} Events received, by what became of them.", f"# TYPE {name} counter"]
        lines += [f'{name}{{outcome="{outcome}"}} {count}' for outcome, count in self._events.items()]
        return "\n".join(lines).encode() + b"\n"


_JSON = (b"content-type", b"application/json")


def _problem(status: int, error: str, headers: list[tuple[bytes, bytes]] | None = None):
    return status, msgspec.json.encode({"error": error}), [_JSON, *(headers or [])]


def _cors(headers: dict[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    """Any origin may send: Shopify's sandboxes have the origin `null`, so it says nothing about who sends."""
    return [
        (b"access-control-allow-origin", headers.get(b"origin", b"*")),
        (b"access-control-allow-methods", b"POST, OPTIONS"),
        (b"access-control-allow-headers", b"content-type"),
        (b"vary", b"Origin"),
    ]


def _text(header: bytes | None) -> str | None:
    return None if header is None else header[:MAX_HEADER_TEXT].decode("latin-1")


async def _read_body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BodyError("the client went away")
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise TooLarge(f"the body is over {MAX_BODY_BYTES} bytes; send fewer events at a time")
        if not message.get("more_body"):
            return body
