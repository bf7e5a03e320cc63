"""What stands around every request: the limit of each address, what browsers may read, and the count.

Requests flow in; a refusal or the application's answer flows out, and what was counted flows out as metrics.
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
    """Whether browsers of any storefront may read it: all but the lists of persons."""
    return not (path.startswith(SHOPS_PATH) and path.removeprefix(SHOPS_PATH).partition("/")[2].startswith("visitors"))


def _template(scope: Message) -> str:
    """The route as it is written, as paths would be without number and hold visitors' ids."""
    return getattr(scope.get("route"), "path", "none")


def _network(address: str) -> str:
    """An address, or of IPv6 the network that one customer is given."""
    if ":" not in address:
        return address
    try:
        number = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(number.ipv4_mapped or ipaddress.ip_network((int(number), 64), strict=False))


class Gate:
    """Around every request: the limit of each address, the headers of browsers, and the count."""

    def __init__(self, app: Callable[..., Awaitable[None]], requests_per_second: int, metrics: "Metrics") -> None:
        self._app, self._metrics = app, metrics
        self._rate = RateLimitItemPerSecond(requests_per_second) if requests_per_second else None
        self._limiter = FixedWindowRateLimiter(MemoryStorage()) if requests_per_second else None

    async def __call__(self, scope: Message, receive: Callable, send: Callable) -> None:
        """Answer one request, or pass on what is none."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 0
        if scope["method"] == "HEAD":  # as GET; the server sends no body after it
            scope = {**scope, "method": "GET"}
        public = _is_public(scope["path"])

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *(_BROWSERS if public else ())]
            await send(message)

        try:
            answer = self._answer_at_once(scope, public)
            if answer is None:
                await self._app(scope, receive, send_on)
            else:
                await answer(scope, receive, send_on)
        except ClientDisconnect:
            pass
        except Exception:  # a defect of ours; the path is not logged, a visitor may be in it
            log.exception("no answer to a request of %s", _template(scope))
            if not status:
                await refusal(500, "The API has failed.", "See its log, and report it.", {})(scope, receive, send_on)
        finally:
            self._metrics.count(_template(scope), status, time.perf_counter() - begun)

    def _answer_at_once(self, scope: Message, public: bool) -> Response | None:
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
            "Ask again later, and cache answers.",
            {"retry-after": str(wait)},
        )


class Metrics:
    """What one API process counts, in Prometheus' text format; several add up through files. No shopper is in it."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions
        self._registry = registry = CollectorRegistry()
        requests = Counter("pixelnova_api_requests", "Requests, by route.", ["route", "status"], registry=registry)
        seconds = Histogram(
            "pixelnova_api_request_seconds", "Time to answer.", ["route"], registry=registry, buckets=REQUEST_SECONDS
        )
        self._requests, self._seconds = requests, seconds
        self._children: dict[tuple[str, int], tuple[Any, Any]] = {}  # to look labels up is dear

    def count(self, route: str, status: int, seconds: float) -> None:
        """One request. status: 0 if its client went away."""
        children = self._children.get((route, status))
        if children is None:
            children = self._requests.labels(route, str(status)), self._seconds.labels(route)
            self._children[route, status] = children
        children[0].inc()
        children[1].observe(seconds)

    def text(self) -> bytes:
        """All metrics, of all workers; the version is that of the worker that is asked."""
        registry = self._registry
        if os.environ.get(MULTIPROCESS_VARIABLE):
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)
        served = CollectorRegistry()
        served.register(self)
        return generate_latest(registry) + generate_latest(served)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """What is served, looked up when asked."""
        version = GaugeMetricFamily(
            "pixelnova_api_served_version", "1 for the version that is served.", labels=["version"]
        )
        items = GaugeMetricFamily("pixelnova_api_items", "Products that may be answered.", labels=["shop"])
        served = self._versions.served
        if served is not None:
            version.add_metric([served.name], 1)
            for name, shop in served.shops.items():
                items.add_metric([name], len(shop.catalogue.products))
        yield version
        yield items
