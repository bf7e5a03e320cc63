"""Middleware around every request: rate limit per address, CORS headers, and metrics.

Reads requests, passes them to the application or rejects them, and exposes counts as Prometheus metrics.
"""

import ipaddress
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from fastapi import Response
from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, multiprocess
from prometheus_client.core import GaugeMetricFamily
from starlette.requests import ClientDisconnect

from serving.api.refusals import refusal
from serving.api.versions import Versions

SHOPS_PATH = "/v1/shops/"
PRIVATE_PATHS = ("visitors", "analytics", "status")
MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
REQUEST_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)

Message = dict[str, Any]

log = logging.getLogger(__name__)

_BROWSERS = ((b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", b"etag, retry-after"))
_PREFLIGHT = {
    "access-control-allow-methods": "GET, HEAD, POST, OPTIONS",
    "access-control-allow-headers": "content-type, if-none-match",
    "access-control-max-age": "86400",
}


def _is_public(path: str) -> bool:
    """Whether any origin may read it: everything except personal lists and the shop's numbers."""
    return not (
        path.startswith(SHOPS_PATH) and path.removeprefix(SHOPS_PATH).partition("/")[2].startswith(PRIVATE_PATHS)
    )


def _template(scope: Message) -> str:
    """The route's template: raw paths are unbounded in number and contain visitor ids."""
    return getattr(scope.get("route"), "path", "none")


def _network(address: str) -> str:
    """The address; for IPv6 its /64 network, which usually belongs to one customer."""
    if ":" not in address:
        return address
    try:
        number = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(number.ipv4_mapped or ipaddress.ip_network((int(number), 64), strict=False))


class Gate:
    """ASGI middleware: rate limit per address, CORS headers, metrics."""

    def __init__(self, app: Callable[..., Awaitable[None]], requests_per_second: int, metrics: "Metrics") -> None:
        self._app, self._metrics = app, metrics
        self._rate = RateLimitItemPerSecond(requests_per_second) if requests_per_second else None
        self._limiter = FixedWindowRateLimiter(MemoryStorage()) if requests_per_second else None

    async def __call__(self, scope: Message, receive: Callable, send: Callable) -> None:
        """Handle one HTTP request; pass other messages through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0
        if scope["method"] == "HEAD":  # handled as GET; the server drops the body
            scope = {**scope, "method": "GET"}
        public = _is_public(scope["path"])

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *(_BROWSERS if public else ())]
            await send(message)

        try:
            response = self._early_response(scope, public)
            if response is None:
                await self._app(scope, receive, send_on)
            else:
                await response(scope, receive, send_on)
        except ClientDisconnect:
            pass
        except Exception:  # a bug; the path is not logged because it may contain a visitor id
            shop = scope.get("path_params", {}).get("shop")
            log.exception("request to %s failed", _template(scope), extra={"shop": shop})
            if not status:
                await refusal(500, "Internal error.", "See the API's log, and report it.", {})(scope, receive, send_on)
        finally:
            self._metrics.count(_template(scope), status, time.perf_counter() - started)

    def _early_response(self, scope: Message, public: bool) -> Response | None:
        if not scope["path"].startswith(SHOPS_PATH):
            return None
        if public and scope["method"] == "OPTIONS":
            return Response(status_code=204, headers=_PREFLIGHT)
        if self._limiter is None or self._rate is None:
            return None
        address = _network(scope["client"][0] if scope.get("client") else "")
        if self._limiter.hit(self._rate, address):
            return None
        wait = max(1, round(self._limiter.get_window_stats(self._rate, address).reset_time - time.time()))
        return refusal(
            429,
            "Too many requests from this address.",
            "Retry later, and cache responses.",
            {"retry-after": str(wait)},
        )


class Metrics:
    """Metrics in Prometheus' text format; worker processes share them through files. They hold no shopper data."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions
        self._registry = registry = CollectorRegistry()
        requests = Counter("pixelnova_api_requests", "Requests, by route.", ["route", "status"], registry=registry)
        seconds = Histogram(
            "pixelnova_api_request_seconds", "Time to answer.", ["route"], registry=registry, buckets=REQUEST_SECONDS
        )
        self._requests, self._seconds = requests, seconds
        self._children: dict[tuple[str, int], tuple[Any, Any]] = {}  # label lookups are slow

    def count(self, route: str, status: int, seconds: float) -> None:
        """Count one request. status: 0 if the client disconnected."""
        children = self._children.get((route, status))
        if children is None:
            children = self._requests.labels(route, str(status)), self._seconds.labels(route)
            self._children[route, status] = children
        children[0].inc()
        children[1].observe(seconds)

    def text(self) -> bytes:
        """The metrics of all workers; the served version is that of the current worker."""
        registry = self._registry
        if os.environ.get(MULTIPROCESS_VARIABLE):
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)
        served = CollectorRegistry()
        served.register(self)
        return generate_latest(registry) + generate_latest(served)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The served version and its item counts, at scrape time."""
        version = GaugeMetricFamily(
            "pixelnova_api_served_version", "1 for the version being served.", labels=["version"]
        )
        items = GaugeMetricFamily("pixelnova_api_items", "Products that may be recommended.", labels=["shop"])
        served = self._versions.served
        if served is not None:
            version.add_metric([served.name], 1)
            for name, shop in served.shops.items():
                items.add_metric([name], len(shop.catalogue.products))
        yield version
        yield items
