"""uvicorn's HTTP protocol with the limits that it lacks.

Bytes of a connection flow in. A header block over the cap is answered with 431, a request that is not complete after
its deadline with 408, and one connection too many with 503; who does not read the answers is hung up on. It leans on
uvicorn's internals: uvicorn is pinned to one minor version and the tests send slow and endless requests.
"""

import asyncio
import http
import socket
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEADER_BYTES = 16 * 1024
REQUEST_SECONDS = 10.0  # for the headers, and as long again for the body
MAX_REQUEST_BYTES = 4 * 1024 * 1024  # the largest webhook, and more
MAX_CONNECTIONS = 1024  # of one worker; each may hold a header block and a body


class GuardedProtocol(HttpToolsProtocol):
    """One connection."""

    request_seconds = REQUEST_SECONDS
    max_connections = MAX_CONNECTIONS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._header_bytes = 0  # of the request that is being read, its trailers among them
        self._request_bytes = 0  # received since the request before was complete
        self._in_request = False
        self._in_body = False
        self._refused = False
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """A connection that says nothing is closed at the deadline too; one too many is closed at once."""
        super().connection_made(transport)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux: ends it when the other side takes no more bytes
            connection = transport.get_extra_info("socket")
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(self.request_seconds * 1000))
        if len(self.connections) > self.max_connections:
            self._refuse(503, "too many connections; send again later")
        else:
            self._start_deadline()

    def data_received(self, data: bytes) -> None:
        """Watch over a request that is not complete yet."""
        if self._refused:
            return
        self._request_bytes += len(data)
        super().data_received(data)
        if self._refused or not self._in_request:
            return
        # The parser keeps a line that is not complete to itself, so it is counted here.
        if self._request_bytes > (MAX_REQUEST_BYTES if self._in_body else MAX_HEADER_BYTES):
            self._refuse(413 if self._in_body else 431, "the request is too large")
        elif self._deadline is None:
            self._start_deadline()

    def on_message_begin(self) -> None:
        """Another request begins."""
        self._in_request, self._in_body, self._header_bytes = True, False, 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Part of the request line."""
        self._count(len(url))
        if not self._refused:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer after a chunked body."""
        self._count(len(name) + len(value) + 4)
        if not self._refused:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The body has a deadline of its own. No browser pipelines; who sends many requests at once waits in vain."""
        self._cancel_deadline()
        if self.pipeline:
            self._refuse(429, "one request at a time")
        if not self._refused:
            self._in_body = True
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Part of the body."""
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is complete; the application has it."""
        self._in_request = self._in_body = False
        self._request_bytes = 0
        self._cancel_deadline()
        if not self._refused:
            super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """No deadline outlives its connection."""
        self._cancel_deadline()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP."""
        self._refuse(400, msg)

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > MAX_HEADER_BYTES and not self._refused:
            self._refuse(431, f"headers may have {MAX_HEADER_BYTES} bytes")

    def _start_deadline(self) -> None:
        self._deadline = self.loop.call_later(self.request_seconds, self._is_late)

    def _is_late(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        answering = self.cycle is not None and not self.cycle.response_complete
        asked = self.cycle.response_started if self._in_body else answering
        if self._in_request and not asked:
            self._refuse(408, "the request did not come in time")
        else:
            self.transport.close()  # nothing was asked, or the answer is under way

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, status: int, error: str) -> None:
        """Answer from below the application, with the CORS header that every answer has, and hang up."""
        self._refused = True
        body = f'{{"error":"{error}"}}'.encode()
        origin = next((value for name, value in self.headers or () if name == b"origin"), b"*")
        self.transport.write(
            b"HTTP/1.1 %d %b\r\n" % (status, http.HTTPStatus(status).phrase.encode())
            + b"access-control-allow-origin: %b\r\naccess-control-allow-credentials: true\r\n" % origin
            + b"vary: Origin\r\ncontent-type: application/json\r\n"
            + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
            + body
        )
        self.transport.close()
