"""uvicorn's HTTP protocol with the limits that it lacks.

Bytes of a connection flow in. A header block over the cap is answered with 431, a request that is not complete after
its deadline with 408, and one connection too many with 503. It leans on uvicorn's internals: uvicorn is pinned to one
minor version and the tests send slow and endless requests.
"""

import asyncio
import http
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEADER_BYTES = 16 * 1024
REQUEST_SECONDS = 10.0  # for the headers, and as long again for the body
MAX_CONNECTIONS = 1024  # of one worker; each may hold a header block and a body


class GuardedProtocol(HttpToolsProtocol):
    """One connection."""

    request_seconds = REQUEST_SECONDS
    max_connections = MAX_CONNECTIONS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._header_bytes = 0
        self._in_headers = True
        self._in_body = False
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """A connection that says nothing is closed at the deadline too; one too many is closed at once."""
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            self._refuse(503, "too many connections; send again later")
        else:
            self._start_deadline()

    def data_received(self, data: bytes) -> None:
        """Count what comes before the headers are complete, and watch over what is not complete yet."""
        if self._in_headers:
            self._header_bytes += len(data)
        super().data_received(data)
        if self._in_headers and self._header_bytes > MAX_HEADER_BYTES and self.parser is not None:
            self._refuse(431, f"headers may have {MAX_HEADER_BYTES} bytes")
        elif self._deadline is None and (self._in_body or self._header_bytes):
            self._start_deadline()

    def on_headers_complete(self) -> None:
        """The body has a deadline of its own."""
        self._in_headers, self._in_body = False, True
        self._header_bytes = 0
        self._cancel_deadline()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """What comes next on this connection is another request's headers."""
        self._in_headers, self._in_body = True, False
        self._cancel_deadline()
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """No deadline outlives its connection."""
        self._cancel_deadline()
        super().connection_lost(exc)

    def _start_deadline(self) -> None:
        self._deadline = self.loop.call_later(self.request_seconds, self._is_late)

    def _is_late(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self._refuse(408, "the request did not come in time")

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, status: int, error: str) -> None:
        """Answer from below the application, with the CORS header that every answer has, and hang up."""
        body = f'{{"error":"{error}"}}'.encode()
        self.transport.write(
            b"HTTP/1.1 %d %b\r\n" % (status, http.HTTPStatus(status).phrase.encode())
            + b"access-control-allow-origin: *\r\ncontent-type: application/json\r\n"
            + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
            + body
        )
        self.transport.close()
