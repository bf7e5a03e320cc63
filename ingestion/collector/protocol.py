"""uvicorn's HTTP protocol with the limits that it lacks.

Responds with 431 to an oversized header block, with 408 to a request that misses its deadline, and with 503 to a
connection over the limit, in total or per network; disconnects clients that stop reading. Relies on uvicorn internals,
so uvicorn is pinned to one minor version and the tests send slow and endless requests.
"""

import asyncio
import contextlib
import http
import socket
from collections import Counter
from functools import lru_cache
from typing import Any, ClassVar

from uvicorn.middleware.proxy_headers import _TrustedHosts
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ingestion.collector.limits import network_of

MAX_HEADER_BYTES = 16 * 1024
REQUEST_SECONDS = 10.0  # for the headers, and again for the body
MAX_REQUEST_BYTES = 4 * 1024 * 1024  # more than the largest webhook
MAX_CONNECTIONS = 1024  # per worker; each may hold a header block and a body
# Per network (limits.network_of) and worker, so that one client cannot take all connections; many shoppers may share
# one address of their provider. Proxies trusted by FORWARDED_ALLOW_IPS are exempt.
MAX_CONNECTIONS_OF_NETWORK = 256
MAX_WAITING_OF_NETWORK = 64  # connections among these whose request is incomplete


def _joined(hosts: list[str] | str) -> str:
    return hosts if isinstance(hosts, str) else ",".join(hosts)


@lru_cache
def _proxies(trusted: str) -> _TrustedHosts:
    return _TrustedHosts(trusted)


class _Transport:
    """A transport that drops writes after the client has disconnected, where uvloop's would raise."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)


class GuardedProtocol(HttpToolsProtocol):
    """One connection."""

    request_seconds = REQUEST_SECONDS
    max_connections = MAX_CONNECTIONS
    max_connections_of_network = MAX_CONNECTIONS_OF_NETWORK
    max_waiting_of_network = MAX_WAITING_OF_NETWORK

    # Of this process, which is one worker.
    _connections_of: ClassVar[Counter[str]] = Counter()
    _waiting_of: ClassVar[Counter[str]] = Counter()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._header_bytes = 0  # of the current request, including trailers
        self._request_bytes = 0  # received since the previous request was complete
        self._in_request = False
        self._in_body = False
        self._refused = False
        self._deadline: asyncio.TimerHandle | None = None
        self._network = ""  # the network counted for this connection; "" if none is
        self._waits = False  # whether this connection counts as waiting for a complete request

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Silent connections are closed at the deadline; connections over the limit at once."""
        super().connection_made(_Transport(transport))
        connection = transport.get_extra_info("socket")
        if hasattr(socket, "TCP_USER_TIMEOUT") and connection is not None:
            # Linux: closes it when the peer stops reading. The peer may have disconnected already.
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(self.request_seconds * 1000))
        self._count_connection(self.client[0] if self.client else "")
        if len(self.connections) > self.max_connections:
            self._refuse(503, "too many connections; send again later")
        elif self._connections_of[self._network] > self.max_connections_of_network:
            self._refuse(503, "too many connections from your address; send again later")
        elif self._begins_to_wait():
            self._start_deadline()

    def data_received(self, data: bytes) -> None:
        """Enforce the limits on an incomplete request."""
        if self._refused:
            return
        self._request_bytes += len(data)
        super().data_received(data)
        if self._refused or not self._in_request:
            return
        # The parser buffers incomplete lines, so they are counted here.
        if self._request_bytes > (MAX_REQUEST_BYTES if self._in_body else MAX_HEADER_BYTES):
            self._refuse(413 if self._in_body else 431, "the request is too large")
        elif self._deadline is None:
            self._start_deadline()

    def on_message_begin(self) -> None:
        """Another request begins."""
        self._in_request, self._in_body, self._header_bytes = True, False, 0
        if self._begins_to_wait():
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
        """The body has its own deadline. Pipelined requests are refused; no browser sends them."""
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
        """The request is complete and passed to the application."""
        self._in_request = self._in_body = False
        self._request_bytes = 0
        self._cancel_deadline()
        self._stop_waiting()
        if not self._refused:
            super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the deadline and stop counting the connection."""
        self._cancel_deadline()
        self._stop_waiting()
        self._uncount(self._connections_of)
        self._network = ""
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Respond to malformed HTTP."""
        self._refuse(400, msg)

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > MAX_HEADER_BYTES and not self._refused:
            self._refuse(431, f"headers may have at most {MAX_HEADER_BYTES} bytes")

    def _count_connection(self, address: str) -> None:
        if address and address not in _proxies(_joined(self.config.forwarded_allow_ips)):
            self._network = network_of(address)
            self._connections_of[self._network] += 1

    def _begins_to_wait(self) -> bool:
        """Count the connection as waiting; refuse it if its network has too many of these."""
        if self._network and not self._waits:
            self._waits = True
            self._waiting_of[self._network] += 1
            if self._waiting_of[self._network] > self.max_waiting_of_network:
                self._refuse(503, "too many unfinished requests from your address; send again later")
        return not self._refused

    def _stop_waiting(self) -> None:
        if self._waits:
            self._waits = False
            self._uncount(self._waiting_of)

    def _uncount(self, counter: Counter[str]) -> None:
        if self._network:
            counter[self._network] -= 1
            if counter[self._network] <= 0:
                del counter[self._network]

    def _start_deadline(self) -> None:
        self._deadline = self.loop.call_later(self.request_seconds, self._is_late)

    def _is_late(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        answering = self.cycle is not None and not self.cycle.response_complete
        asked = self.cycle.response_started if self._in_body else answering
        if self._in_request and not asked:
            self._refuse(408, "the request did not arrive in time")
        else:
            self.transport.close()  # no request, or the response is under way

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, status: int, error: str) -> None:
        """Respond from below the application, with the CORS headers of every response, and disconnect."""
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
