"""The read API: what to show a shopper next, as HTTP. Answers are JSON; a refusal is {error, remedy}.

    GET  /v1/shops/{shop}/products/{product_id}/recommendations   beside one product
    GET  /v1/shops/{shop}/popular · /trending                     beside none
    POST /v1/shops/{shop}/session                                 for a session in progress
    GET  /v1/shops/{shop}/visitors/{visitor_id}                   for a person; needs a key or Shopify's signature
    GET  /healthz · /metrics · /openapi.json

data/published flows in, and nothing else of the data folder. Each answer is of one version as a whole; `Selection` is
the one gate that every item passes.
"""

import asyncio
import contextlib
import hashlib
import ipaddress
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar

import msgspec
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi import Path as InPath
from fastapi import Query as InQuery
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, multiprocess
from prometheus_client.core import GaugeMetricFamily
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from uvicorn.supervisors import Multiprocess

from serving.published import (
    CURRENT,
    SCHEMA,
    Header,
    Item,
    NothingPublished,
    Published,
    Reason,
    Seed,
    Visitor,
    VisitorShard,
    private_folder,
    published_folder,
    read_current,
    shard_name,
    shop_folder,
)
from serving.session_neighbours import LAST_PRODUCTS, SessionNeighbours, ViewedTogether, blend, combined_lists
from serving.visitor_access import VisitorSecrets, secrets_of_environment, why_refused

DEFAULT_LIMIT = 12
MAX_LIMIT = 50
MAX_ID = 64  # characters
MAX_EXCLUDE = 4096  # characters of the parameter
MAX_EXCLUDED = 200  # products in the body
MAX_SESSION_PRODUCTS = 50
MAX_BODY_BYTES = 16 * 1024
BODY_SECONDS = 10.0
LOOK_SECONDS = 0.5  # between two looks at `current`
RETRY_SECONDS = 30.0  # before a version that could not be read is tried again
ATTEMPTS = 3  # to answer from one version, while versions vanish
SHARD_BYTES = 64 * 1024 * 1024  # of shards kept as they are, per shop
DOCUMENTS = 2048  # kept decoded, per shop
ANSWER_BYTES = 32 * 1024 * 1024  # of whole answers kept, per version
CACHE_PUBLIC = "public, max-age=60, stale-while-revalidate=600"
CACHE_PRIVATE = "private, no-store"
SHOPS_PATH = "/v1/shops/"
MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
REQUEST_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)
MAX_CONNECTIONS_WAITING = 1024
WORKER_SECONDS = 30.0
GRACE_SECONDS = 10

Placement = Literal["product_page", "bought_together", "viewed_together"]
ShopName = Annotated[str, InPath(max_length=255, description="The shop's domain: my-store.myshopify.com")]
Limit = Annotated[int, InQuery(ge=1, le=MAX_LIMIT)]
Exclude = Annotated[str, InQuery(max_length=MAX_EXCLUDE, description="Product ids, comma separated")]
Name = Annotated[str | None, InQuery(min_length=1, max_length=255)]
Message = dict[str, Any]
Key = TypeVar("Key")
Value = TypeVar("Value")

DESCRIPTION = (
    """What to show a shopper next. Answers are of one published version as a whole; every item may be shown."""
)
SESSION = Reason("session")
VIEWED_TOGETHER = Reason("viewed_together")

log = logging.getLogger(__name__)

_BROWSERS = ((b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", b"etag, retry-after"))
_PREFLIGHT = {
    "access-control-allow-methods": "GET, POST, OPTIONS",
    "access-control-allow-headers": "content-type, if-none-match",
    "access-control-max-age": "86400",
}


@dataclass(frozen=True)
class ApiSettings:
    """requests_per_second: of each address, in each worker; 0 is unlimited. secrets: what opens visitors' lists."""

    requests_per_second: int = 50
    secrets: VisitorSecrets = field(default_factory=VisitorSecrets)


def create_api(data: Path, settings: ApiSettings) -> FastAPI:
    """The application that answers from the published versions in a data folder."""
    versions = Versions(data)
    metrics = Metrics(versions)

    @contextlib.asynccontextmanager
    async def follow(_: FastAPI) -> AsyncIterator[None]:
        with contextlib.suppress(Problem):  # nothing published yet is said to who asks
            await versions.current()
        watch = asyncio.create_task(versions.watch())
        yield
        watch.cancel()

    app = FastAPI(
        title="Pixelnova", version=str(SCHEMA), docs_url=None, redoc_url=None, redirect_slashes=False, lifespan=follow
    )
    app.add_middleware(Gate, requests_per_second=settings.requests_per_second, metrics=metrics)
    app.add_exception_handler(Problem, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse_parameters)
    app.add_exception_handler(HTTPException, _refuse_route)
    _add_public_routes(app, versions)
    _add_visitor_route(app, versions, settings.secrets)
    _add_operations_routes(app, versions, metrics)
    app.openapi = lambda: _describe(app)
    return app


def serve(host: str, port: int, data: Path, workers: int = 1, requests_per_second: int = 50) -> None:
    """Answer until SIGINT or SIGTERM.

    Args:
        port: 0 takes a free one.
        requests_per_second: what each address may ask of each worker; 0 is unlimited.

    Raises:
        CannotListen: the port is taken.
    """
    config = uvicorn.Config(
        ApiApp(data, requests_per_second),
        factory=True,
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,  # it would hold visitors' ids
        server_header=False,
        backlog=MAX_CONNECTIONS_WAITING,
        workers=workers,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    for number in (signal.SIGINT, signal.SIGTERM):  # asked to end is a good end; uvicorn raises the signal once it has
        signal.signal(number, lambda *_: sys.exit(0))
    with _listening(host, port) as listener:
        if workers == 1:
            _Server(config).run(sockets=[listener])
            return
        os.environ[MULTIPROCESS_VARIABLE] = tempfile.mkdtemp(prefix=f"pixelnova-api-metrics-{os.getpid()}-")
        try:
            _Workers(config, sockets=[listener]).run()
        finally:
            shutil.rmtree(os.environ.pop(MULTIPROCESS_VARIABLE))


def _listening(host: str, port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise CannotListen(
            f"{host}:{port} cannot be listened on ({error.strerror}): end what uses it, or choose another port with "
            "--port."
        ) from error
    listener.set_inheritable(True)
    return listener


def _announce(listener: socket.socket) -> None:
    host, port = listener.getsockname()
    print(f"Pixelnova API listening on http://{host}:{port}", flush=True)  # noqa: T201


def _add_public_routes(app: FastAPI, versions: "Versions") -> None:
    async def answer(request: Request, query: tuple, excluded: set[str], compose: Compose) -> Response:
        """A GET: from the answers kept, or composed and, if nobody else's exclusions are in it, kept."""

        async def encoded(version: Version) -> tuple[str, bytes]:
            body = None if excluded else version.answers.get(query)
            if body is None:
                body = msgspec.json.encode(await compose(version))
                if not excluded:
                    version.answers.put(query, body, len(body))
            return version.name, body

        version_name, body = await versions.answer(encoded)
        described = repr((SCHEMA, version_name, query, sorted(excluded)))
        tag = f'"{hashlib.blake2b(described.encode("utf-8", "replace"), digest_size=12).hexdigest()}"'
        headers = {"etag": tag, "cache-control": CACHE_PUBLIC}
        if _matches(request.headers.get("if-none-match"), tag):
            return Response(status_code=304, headers=headers)
        return Response(body, media_type="application/json", headers=headers)

    @app.get(
        "/v1/shops/{shop}/products/{product_id}/recommendations",
        summary="What to show beside a product",
        responses=_responses(Recommendations, 304, 404),
    )
    async def recommendations(
        request: Request,
        shop: ShopName,
        product_id: Annotated[str, InPath(max_length=MAX_ID)],
        placement: Placement = "product_page",
        limit: Limit = DEFAULT_LIMIT,
        exclude: Exclude = "",
    ) -> Response:
        """product_page is filled up to `limit`; the others hold what is known, unless `exclude` empties them."""
        excluded = _ids(exclude)

        async def compose(version: Version) -> Recommendations:
            return await beside_product(version.shop(shop), product_id, placement, limit, excluded)

        return await answer(request, ("product", shop, product_id, placement, limit), excluded, compose)

    @app.get(
        "/v1/shops/{shop}/popular",
        summary="What sells, in the shop or one part of it",
        responses=_responses(ProductList, 304, 404),
    )
    async def popular(
        request: Request,
        shop: ShopName,
        collection: Name = None,
        vendor: Name = None,
        type: Name = None,
        segment: Name = None,
        channel: Name = None,
        limit: Limit = DEFAULT_LIMIT,
        exclude: Exclude = "",
    ) -> Response:
        """At most one of collection (an id), vendor, type, segment and channel narrows it."""
        narrowed = {"collections": collection, "vendors": vendor, "types": type, "segments": segment}
        chosen = [(name, key) for name, key in {**narrowed, "channels": channel}.items() if key is not None]
        if len(chosen) > 1:
            raise Problem(422, "The list is narrowed twice.", "Give one of collection, vendor, type, segment, channel.")
        name, key = chosen[0] if chosen else ("popular", None)
        excluded = _ids(exclude)

        async def compose(version: Version) -> ProductList:
            return shop_list(version.shop(shop), name, key, limit, excluded)

        return await answer(request, (name, shop, key, limit), excluded, compose)

    @app.get("/v1/shops/{shop}/trending", summary="What rises", responses=_responses(ProductList, 304, 404))
    async def trending(
        request: Request, shop: ShopName, limit: Limit = DEFAULT_LIMIT, exclude: Exclude = ""
    ) -> Response:
        excluded = _ids(exclude)

        async def compose(version: Version) -> ProductList:
            return shop_list(version.shop(shop), "trending", None, limit, excluded)

        return await answer(request, ("trending", shop, limit), excluded, compose)

    @app.post(
        "/v1/shops/{shop}/session",
        summary="What a session in progress should see next",
        responses=_responses(ProductList, 404, 408, 413),
        openapi_extra={
            "requestBody": {"required": True, "content": {"application/json": {"schema": _reference(SessionSoFar)}}}
        },
    )
    async def session(request: Request, shop: ShopName) -> Response:
        """Sessions like this one, blended with the lists of its last five products; filled up with popular products."""
        try:
            so_far = msgspec.json.decode(await _body(request), type=SessionSoFar)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Problem(422, f"The body cannot be read: {error}", 'Send {"products": ["…", "…"]}.') from error
        viewed, excluded = [str(one) for one in so_far.products], {str(one) for one in so_far.exclude}

        async def compose(version: Version) -> ProductList:
            return await for_session(version.shop(shop), viewed, so_far.limit, excluded)

        body = msgspec.json.encode(await versions.answer(compose))
        return Response(body, media_type="application/json", headers={"cache-control": "no-store"})


def _add_visitor_route(app: FastAPI, versions: "Versions", secrets: VisitorSecrets) -> None:
    @app.get(
        "/v1/shops/{shop}/visitors/{visitor_id}",
        summary="What to show a person",
        responses=_responses(VisitorList, 401, 404),
        openapi_extra={"security": [{"apiKey": []}, {"appProxy": []}]},
    )
    async def visitor(
        request: Request,
        shop: ShopName,
        visitor_id: Annotated[str, InPath(max_length=255, description="A journey id or a pixel's client id")],
        limit: Limit = DEFAULT_LIMIT,
        exclude: Exclude = "",
    ) -> Response:
        """Needs an API key, or Shopify's app proxy in front. Who is not known gets the popular list."""
        query = request.scope["query_string"]
        refusal = why_refused(request.headers.get("authorization", ""), query, shop, secrets, time.time())
        if refusal:
            raise Problem(
                401,
                refusal,
                "Send `Authorization: Bearer <a key of PIXELNOVA_API_KEY>`, or come through the app proxy whose secret "
                "is in PIXELNOVA_APP_SECRET.",
                {"www-authenticate": "Bearer", "cache-control": CACHE_PRIVATE},
            )
        excluded = _ids(exclude)

        async def compose(version: Version) -> VisitorList:
            return await for_visitor(version.shop(shop), visitor_id, limit, excluded)

        body = msgspec.json.encode(await versions.answer(compose))
        return Response(body, media_type="application/json", headers={"cache-control": CACHE_PRIVATE})


def _add_operations_routes(app: FastAPI, versions: "Versions", metrics: "Metrics") -> None:
    @app.get("/healthz", summary="Whether anything is served", responses=_responses(Health))
    async def healthz() -> Response:
        version = await versions.current()
        body = msgspec.json.encode(Health(version.name, version.model_version, version.as_of))
        return Response(body, media_type="application/json", headers={"cache-control": "no-store"})

    @app.get(
        "/metrics", summary="Prometheus text", response_class=Response, responses={200: {"content": {"text/plain": {}}}}
    )
    async def prometheus() -> Response:
        return Response(await asyncio.to_thread(metrics.text), media_type="text/plain; version=0.0.4; charset=utf-8")


async def beside_product(
    shop: "Shop", product_id: str, placement: Placement, limit: int, excluded: set[str]
) -> "Recommendations":
    """A product's own list, or, while it has none, what is popular of its type."""
    known, product = await shop.known(product_id), shop.catalogue.products.get(product_id)
    if known is not None:
        seed, candidates, fill = (
            known.lists.seed,
            known.lists.placements.get(placement, []),
            placement == "product_page",
        )
    elif product is not None:
        seed, fill = Seed(product_id, product.gid, product.handle, 0.0), True
        candidates = shop.lists.types.get(product.type or "", [])
    else:
        raise Problem(
            404,
            f"The product {product_id} is not known in {shop.name}.",
            "Ask for a product id as Shopify numbers it, without gid://; a new product is known after a refresh.",
        )
    items = _chosen(shop, candidates, limit, {product_id}, excluded, fill)
    return Recommendations(**shop.head, placement=placement, seed=seed, items=items)


def shop_list(shop: "Shop", name: str, key: str | None, limit: int, excluded: set[str]) -> "ProductList":
    """One of the lists of lists.json."""
    candidates = getattr(shop.lists, name)
    if key is not None:
        if key not in candidates:
            raise Problem(
                404, f"There is no list {name}/{key} in {shop.name}.", "Take a name of lists.json, or leave it out."
            )
        candidates = candidates[key]
    items = _chosen(shop, candidates, limit, set(), excluded, fill=False)
    return ProductList(**shop.head, list_name=name, key=key, items=items)


async def for_session(shop: "Shop", viewed: Sequence[str], limit: int, excluded: set[str]) -> "ProductList":
    """What follows in sessions like this one. Products that are not known say nothing."""
    together = {
        product_id: known.together for product_id in viewed[-LAST_PRODUCTS:] if (known := await shop.known(product_id))
    }
    if shop.neighbours is None:
        ranked, reason = combined_lists(viewed, together), VIEWED_TOGETHER
    else:
        ranked, reason = blend(viewed, shop.neighbours, together), SESSION
    candidates = (Candidate(product_id, score, reason) for product_id, score in ranked)
    items = _chosen(shop, candidates, limit, set(viewed), excluded, fill=True)
    return ProductList(**shop.head, list_name="session", items=items)


async def for_visitor(shop: "Shop", visitor_id: str, limit: int, excluded: set[str]) -> "VisitorList":
    """A person's list, or the popular one."""
    visitor = await shop.visitor(visitor_id) or Visitor("popular", None, None, [])
    candidates = [Candidate(product_id, score, Reason(code)) for product_id, score, code in visitor.items]
    return VisitorList(
        **shop.head,
        strategy=visitor.strategy,
        segment=visitor.segment,
        channel=visitor.channel,
        items=_chosen(shop, candidates, limit, set(), excluded, fill=True),
    )


def _chosen(
    shop: "Shop",
    candidates: Iterable["Candidate | Item"],
    limit: int,
    seeds: set[str],
    excluded: set[str],
    fill: bool,
) -> list[Item]:
    """What may be shown. fill: up with popular products; without it, only where `excluded` took all there was."""
    selection = Selection(shop, limit, excluded | seeds)
    selection.take(candidates)
    if fill or (not selection.items and any(one.product_id in excluded for one in candidates)):
        selection.take(shop.lists.popular)
    return selection.items


def _ids(text: str) -> set[str]:
    return {product_id for part in text.split(",") if (product_id := part.strip())} if text else set()


def _matches(header: str | None, tag: str) -> bool:
    """Whether one of the tags of an If-None-Match is ours; the weak comparison, as that header asks for."""
    return header is not None and any(one.strip().removeprefix("W/") in (tag, "*") for one in header.split(","))


async def _body(request: Request) -> bytes:
    too_large = Problem(413, f"The body is over {MAX_BODY_BYTES} bytes.", "Send the last products of the session only.")
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) > MAX_BODY_BYTES:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for piece in request.stream():
                body += piece
                if len(body) > MAX_BODY_BYTES:
                    raise too_large
    except TimeoutError:
        raise Problem(408, "The body did not come in time.", "Send it at once.") from None
    return bytes(body)


def _refusal(status: int, error: str, remedy: str, headers: dict[str, str]) -> Response:
    body = msgspec.json.encode(Refusal(error, remedy))
    return Response(body, status, {"cache-control": "no-store", **headers}, "application/json")


async def _refuse(_: Request, problem: "Problem") -> Response:
    return _refusal(problem.status, problem.error, problem.remedy, problem.headers)


async def _refuse_parameters(_: Request, error: RequestValidationError) -> Response:
    faults = [f"{fault['loc'][-1]}: {fault['msg']}" for fault in error.errors()]
    return _refusal(422, "; ".join(faults), "Correct what is named; /openapi.json describes every parameter.", {})


async def _refuse_route(_: Request, error: HTTPException) -> Response:
    remedy = "/openapi.json says what is here and with which method."
    return _refusal(error.status_code, f"{error.detail}.", remedy, dict(error.headers or {}))


def _reference(kind: type) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def _responses(kind: type, *statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route may answer. Statuses that any route may have are added."""
    descriptions = {
        200: "Answered",
        304: "As before",
        401: "Not for everybody",
        404: "Not known",
        408: "Too slow",
        413: "Too large",
        422: "Not understood",
        429: "Too many requests from this address",
        503: "Nothing is published",
    }
    content = {
        status: {"application/json": {"schema": _reference(kind if status == 200 else Refusal)}}
        for status in descriptions
    }
    return {
        status: {"description": descriptions[status], **({} if status == 304 else {"content": content[status]})}
        for status in sorted({200, 422, 429, 503, *statuses})
    }


def _describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI description, with the schemas of what is really encoded."""
    if app.openapi_schema is None:
        description = get_openapi(title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes)
        kinds = (Recommendations, ProductList, VisitorList, Health, Refusal, SessionSoFar)
        _, schemas = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
        description["components"] = {
            "schemas": schemas,
            "securitySchemes": {
                "apiKey": {"type": "http", "scheme": "bearer"},
                "appProxy": {"type": "apiKey", "in": "query", "name": "signature"},
            },
        }
        app.openapi_schema = description
    return app.openapi_schema


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


class CannotListen(Exception):
    """The address cannot be used; the message names the remedy."""


class Problem(Exception):
    """A request that is not answered as asked: the fact, and what to do about it."""

    def __init__(self, status: int, error: str, remedy: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(error)
        self.status, self.error, self.remedy, self.headers = status, error, remedy, headers or {}


class VersionGone(Exception):
    """Files of a version have been removed, because there are newer ones."""


class Refusal(msgspec.Struct, frozen=True):
    """What is wrong, and what to do about it."""

    error: str
    remedy: str


class Recommendations(Header, frozen=True, kw_only=True):
    """What to show beside a product."""

    placement: Placement
    seed: Seed
    items: list[Item]


class ProductList(Header, frozen=True, kw_only=True):
    """What to show beside no product. list: as in lists.json, or session; key: of which collection, vendor, type…"""

    list_name: str = msgspec.field(name="list")
    key: str | None = None
    items: list[Item]


class VisitorList(Header, frozen=True, kw_only=True):
    """What to show a person. strategy: popular if the person is not known."""

    list_name: str = msgspec.field(default="visitor", name="list")
    strategy: str
    segment: str | None
    channel: str | None
    items: list[Item]


class Health(msgspec.Struct, frozen=True):
    """What is served. as_of: newest received_at behind it, UTC."""

    version: str
    model_version: str
    as_of: str | None


ProductId = (
    Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID)] | Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
)


class SessionSoFar(msgspec.Struct, frozen=True):
    """products: viewed in this session, oldest first, newest last; the last five count, and none is answered."""

    products: Annotated[list[ProductId], msgspec.Meta(min_length=1, max_length=MAX_SESSION_PRODUCTS)]
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    exclude: Annotated[list[ProductId], msgspec.Meta(max_length=MAX_EXCLUDED)] = []


class Candidate(msgspec.Struct, frozen=True):
    """What of a published item counts before it is chosen; the product itself is looked up in the catalogue."""

    product_id: str
    score: float
    reason: Reason


class Lists(msgspec.Struct, frozen=True):
    """A published document, as far as it is needed here."""

    seed: Seed
    placements: dict[str, list[Candidate]]


class Known(NamedTuple):
    """A product's lists, ready for use."""

    lists: Lists
    together: ViewedTogether


class RawShard(msgspec.Struct):
    """Documents of a shard, not yet decoded: most of them are not asked for."""

    products: dict[str, msgspec.Raw]


class Selection:
    """The one gate of all items: of the catalogue, not seen or excluded, not twice, not too many of a group."""

    def __init__(self, shop: "Shop", limit: int, banned: set[str]) -> None:
        self._catalogue, self._limit, self._banned = shop.catalogue, limit, set(banned)
        self._in_group: dict[str, int] = defaultdict(int)
        self.items: list[Item] = []

    def take(self, candidates: Iterable[Candidate | Item]) -> None:
        """Take what may be shown, in this order, until the list is full."""
        products, groups, most = self._catalogue.products, self._catalogue.diversity, self._catalogue.max_per_group
        if len(self.items) >= self._limit:
            return
        for candidate in candidates:
            product_id = candidate.product_id
            product = products.get(product_id)
            if product is None or product_id in self._banned:
                continue
            group = groups.get(product_id)
            if group is not None:
                if self._in_group[group] >= most:
                    continue
                self._in_group[group] += 1
            self._banned.add(product_id)
            self.items.append(
                Item(
                    product_id=product_id,
                    gid=product.gid,
                    handle=product.handle,
                    title=product.title,
                    vendor=product.vendor,
                    type=product.type,
                    url=product.url,
                    image=product.image,
                    price=product.price,
                    position=len(self.items) + 1,
                    score=candidate.score,
                    reason=candidate.reason,
                )
            )
            if len(self.items) == self._limit:
                return


class Recent(Generic[Key, Value]):
    """What was used last, up to a sum of weights."""

    def __init__(self, bound: int) -> None:
        self._bound, self._weight = bound, 0
        self._entries: OrderedDict[Key, tuple[Value, int]] = OrderedDict()

    def get(self, key: Key) -> Value | None:
        """What was put there, if it is still kept."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: Key, value: Value, weight: int = 1) -> None:
        """Keep it, and forget what was not used for longest."""
        if key in self._entries:
            self._weight -= self._entries.pop(key)[1]
        self._entries[key] = (value, weight)
        self._weight += weight
        while self._weight > self._bound:
            self._weight -= self._entries.popitem(last=False)[1][1]


class Shop:
    """What one version says of a shop: catalogue, lists and sessions in memory, documents read when asked for."""

    def __init__(self, published: Published, name: str, files: set[str]) -> None:
        """files: all of the version, by its manifest: what is missing of them has been removed since.

        Raises:
            OSError: the version cannot be read, or is no longer there.
        """
        self.name = name
        self.catalogue, self.lists = published.catalogue(name), published.lists(name)
        for document in (self.catalogue, self.lists):
            if document.schema > SCHEMA:
                raise ValueError(
                    f"its documents are of schema {document.schema}, and this API reads {SCHEMA}: update it"
                )
        self.head = {name: getattr(self.lists, name) for name in ("shop", "version", "model_version", "generated_at")}
        self._folder, self._files = published.folder, files
        sessions = f"{private_folder(name)}/sessions.parquet"
        self.neighbours = SessionNeighbours.read(self._folder / sessions) if self._has(sessions) else None
        self._shards: Recent[str, RawShard] = Recent(SHARD_BYTES)
        self._known: Recent[str, Known] = Recent(DOCUMENTS)

    async def known(self, product_id: str) -> Known | None:
        """A product's lists.

        Raises:
            VersionGone: they have been removed.
        """
        known = self._known.get(product_id)
        if known is not None:
            return known
        name = shard_name(product_id)
        shard = self._shards.get(name)
        if shard is None:
            content = await asyncio.to_thread(self._read, f"{shop_folder(self.name)}/products/{name}")
            shard = RawShard({}) if content is None else msgspec.json.decode(content, type=RawShard)
            self._shards.put(name, shard, len(content or b""))
        document = shard.products.get(product_id)
        if document is None:
            return None
        lists = msgspec.json.decode(document, type=Lists)
        scores = {one.product_id: one.score for one in lists.placements.get("viewed_together", [])}
        known = Known(lists, ViewedTogether(lists.seed.again, scores))
        self._known.put(product_id, known)
        return known

    async def visitor(self, visitor_id: str) -> Visitor | None:
        """A person's list, by journey id or client id. Nothing of persons is kept in memory.

        Raises:
            VersionGone: it has been removed.
        """
        shard = await self._visitors(visitor_id)
        if visitor_id in shard.journeys or visitor_id not in shard.clients:
            return shard.journeys.get(visitor_id)
        journey_id = shard.clients[visitor_id]
        return (await self._visitors(journey_id)).journeys.get(journey_id)

    async def _visitors(self, identifier: str) -> VisitorShard:
        path = f"{private_folder(self.name)}/visitors/{shard_name(identifier)}"
        content = await asyncio.to_thread(self._read, path)
        return VisitorShard({}, {}) if content is None else msgspec.json.decode(content, type=VisitorShard)

    def _read(self, path: str) -> bytes | None:
        try:
            return (self._folder / path).read_bytes()
        except FileNotFoundError as error:
            if path in self._files:
                raise VersionGone(f"{self._folder} is no longer whole") from error
            return None

    def _has(self, path: str) -> bool:
        return path in self._files or (self._folder / path).exists()


class Version:
    """A published version in memory, and the answers that were given from it."""

    def __init__(self, published: Published) -> None:
        manifest = published.manifest
        self.name, self.model_version, self.as_of = published.folder.name, manifest.model_version, manifest.as_of
        files = {file.path for file in manifest.files}
        shops = {path.split("/")[2] for path in files if path.startswith(shop_folder(""))}  # though folders be removed
        self.shops = {name: Shop(published, name, files) for name in shops.union(published.shops())}
        self.answers: Recent[tuple, bytes] = Recent(ANSWER_BYTES)

    def shop(self, name: str) -> Shop:
        """A shop of this version."""
        if name not in self.shops:
            raise Problem(
                404,
                f"The shop {name} is not in the published version.",
                "Name a shop of shops.toml by its domain; a new one is there after `pixelnova refresh`.",
            )
        return self.shops[name]


Compose = Callable[[Version], Awaitable[Any]]


class Versions:
    """Follows `current`: a new version is read in a thread, while requests are answered from the one before."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._link = published_folder(data) / CURRENT
        self.served: Version | None = None
        self._reading: Future[None] | None = None
        self._look_at = 0.0
        self._unreadable: tuple[str, float] = ("", 0.0)  # the version's name, and when it may be tried again

    async def watch(self) -> None:
        """Follow `current` though nobody asks: the first answer after a quiet night is of the newest version."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self._look()

    async def current(self) -> Version:
        """The version to answer from.

        Raises:
            Problem: there is none.
        """
        if time.monotonic() >= self._look_at:
            self._look()
        if self.served is None:
            await self._until_read()
        if self.served is None:
            raise Problem(
                503,
                f"Nothing that could be read is published in {self._data.name} yet.",
                "Run `pixelnova refresh` where the warehouse is; if it has been run, see the API's log.",
                {"retry-after": "30"},
            )
        return self.served

    async def answer(self, compose: Callable[[Version], Awaitable[Value]]) -> Value:
        """What is composed from one version as a whole, whatever becomes of the versions meanwhile.

        Raises:
            Problem: what there is to answer instead.
        """
        version = await self.current()
        for _ in range(ATTEMPTS):
            try:
                return await compose(version)
            except VersionGone:
                version = await self._after(version)
        raise Problem(503, "Versions vanish faster than they can be read.", "Ask again.", {"retry-after": "1"})

    async def _after(self, gone: Version) -> Version:
        if self.served is gone:
            await self._until_read()  # what is being read may be older than what `current` says now
        if self.served is gone:
            self._look()
            await self._until_read()
        if self.served is gone or self.served is None:
            raise Problem(
                503,
                f"The files of version {gone.name} have been removed, and there is no newer one.",
                "Run `pixelnova publish`.",
                {"retry-after": "30"},
            )
        return self.served

    async def _until_read(self) -> None:
        if self._reading is not None:
            await asyncio.shield(asyncio.wrap_future(self._reading))

    def _look(self) -> None:
        """Begin to read what `current` points to, if it is another version."""
        self._look_at = time.monotonic() + LOOK_SECONDS
        if self._reading is not None and not self._reading.done():
            return
        try:
            name = self._link.readlink().name
        except OSError:  # nothing is published, or no longer: what is served stays
            return
        unreadable, retry_at = self._unreadable
        if (self.served is not None and self.served.name == name) or (
            name == unreadable and time.monotonic() < retry_at
        ):
            return
        self._reading = Future()
        threading.Thread(target=self._read, args=(self._reading,), daemon=True).start()

    def _read(self, done: Future[None]) -> None:
        """Read the newest version, in a thread: answers must not wait for it."""
        name = ""
        try:
            for _ in range(ATTEMPTS):
                with contextlib.suppress(FileNotFoundError, NothingPublished):  # a newer one has taken its place
                    published = read_current(self._data)
                    name = published.folder.name
                    self.served = Version(published)
                    return
            self._unreadable = (name, time.monotonic() + RETRY_SECONDS)
            log.error("version %s lacks files: run `pixelnova publish`", name)
        except Exception as error:  # whatever is wrong with its files, the version before is still good
            self._unreadable = (name, time.monotonic() + RETRY_SECONDS)
            log.error("version %s cannot be read (%s): run `pixelnova publish`", name, error)
        finally:
            done.set_result(None)


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
                await _refusal(500, "The API has failed.", "See its log, and report it.", {})(scope, receive, send_on)
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
        return _refusal(
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


class ApiApp:
    """Makes a worker's application from what the command was told; small enough to be sent to another process."""

    def __init__(self, data: Path, requests_per_second: int) -> None:
        self._data, self._requests_per_second = data, requests_per_second

    def __call__(self) -> FastAPI:
        """The application; its secrets come from the environment, so that no command line shows them."""
        return create_api(self._data, ApiSettings(self._requests_per_second, secrets_of_environment()))


class _Server(uvicorn.Server):
    """Says where it listens once it does."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit and sockets:
            _announce(sockets[0])


class _Workers(Multiprocess):
    """Several processes on one port; a worker that dies is replaced."""

    def init_processes(self) -> None:
        super().init_processes()
        if all(process.wait_until_ready(WORKER_SECONDS, self.should_exit) for process in self.processes):
            _announce(self.sockets[0])
