"""The application: routes, their parameters and authorization.

Reads requests, writes JSON responses with cache headers.
"""

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec
from fastapi import Depends, FastAPI, Request, Response
from fastapi import Path as InPath
from fastapi import Query as InQuery
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from serving.api.access import Access
from serving.api.analytics import add_analytics_routes
from serving.api.documents import (
    DEFAULT_LIMIT,
    MAX_ID,
    MAX_LIMIT,
    Health,
    Placement,
    ProductList,
    Recommendations,
    SessionSoFar,
    VisitorList,
    describe,
    reference,
    responses,
)
from serving.api.lists import for_product, for_session, for_visitor, shop_list
from serving.api.middleware import Gate, Metrics
from serving.api.parameters import excluded_ids, product_id, refuse_unknown_parameters
from serving.api.refusals import Problem, refuse, refuse_parameters, refuse_route
from serving.api.shops import Version
from serving.api.versions import Versions
from serving.api.visitor_access import VisitorSecrets, why_refused
from serving.published import SCHEMA, Experiments

MAX_BODY_BYTES = 16 * 1024
BODY_SECONDS = 10.0
CACHE_PUBLIC = "public, max-age=60, stale-while-revalidate=600"
CACHE_PRIVATE = "private, no-store"
KNOWN_PARAMETERS = [Depends(refuse_unknown_parameters)]

log = logging.getLogger(__name__)

ShopName = Annotated[str, InPath(max_length=255, description="The shop's domain: my-store.myshopify.com")]
Limit = Annotated[int, InQuery(ge=1, le=MAX_LIMIT)]
Excluded = Annotated[set[str], Depends(excluded_ids)]
Name = Annotated[str | None, InQuery(min_length=1, max_length=255)]
Compose = Callable[[Version], Awaitable[Any]]


def create_api(data: Path, settings: "ApiSettings") -> FastAPI:
    """The application that answers from the published versions in a data folder."""
    versions = Versions(data)
    metrics = Metrics(versions)

    @contextlib.asynccontextmanager
    async def follow(_: FastAPI) -> AsyncIterator[None]:
        with contextlib.suppress(Problem):  # requests report it while nothing is published
            await versions.current()
        watch = asyncio.create_task(versions.watch())
        log.info("the API has started")
        yield
        watch.cancel()
        log.info("the API has stopped")

    app = FastAPI(
        title="Pixelnova",
        version=str(SCHEMA),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=follow,
    )
    app.add_middleware(Gate, requests_per_second=settings.requests_per_second, metrics=metrics)
    app.add_exception_handler(Problem, refuse)
    app.add_exception_handler(RequestValidationError, refuse_parameters)
    app.add_exception_handler(HTTPException, refuse_route)
    _add_public_routes(app, versions)
    access = Access(data)
    _add_visitor_route(app, versions, settings.secrets, access)
    add_analytics_routes(app, data, access)
    _add_operations_routes(app, versions, metrics)
    app.openapi = lambda: describe(app)
    return app


def _add_public_routes(app: FastAPI, versions: Versions) -> None:
    async def answer(request: Request, query: tuple, excluded: set[str], compose: Compose) -> Response:
        """Answer a GET from the cache, or compose the response and cache it if it has no exclusions."""

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
        "/v1/shops/{shop}/products/{product_id:path}/recommendations",  # a path, because global ids contain slashes
        summary="Recommendations for a product",
        responses=responses(Recommendations, 304, 404),
        dependencies=KNOWN_PARAMETERS,
    )
    async def recommendations(
        request: Request,
        excluded: Excluded,
        shop: ShopName,
        asked: Annotated[str, InPath(max_length=MAX_ID, alias="product_id", description="A number or a global id")],
        placement: Placement = "product_page",
        variation: Annotated[
            str | None, InQuery(max_length=100, description="<experiment>.<variation>: what that variation shows")
        ] = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response:
        """product_page is filled up to `limit`; the other placements are not, nor is what a variation shows. similar is
        published while an experiment shows it."""
        seed = product_id(asked)

        async def compose(version: Version) -> Recommendations:
            return await for_product(version.shop(shop), seed, placement, variation, limit, excluded)

        return await answer(request, ("product", shop, seed, placement, variation, limit), excluded, compose)

    @app.get(
        "/v1/shops/{shop}/experiments",
        summary="The phases of the shop's experiments, for assigning units to variations",
        responses=responses(Experiments, 304, 404),
        dependencies=KNOWN_PARAMETERS,
    )
    async def experiments(request: Request, shop: ShopName) -> Response:
        async def compose(version: Version) -> Experiments:
            return version.shop(shop).experiments

        return await answer(request, ("experiments", shop), set(), compose)

    @app.get(
        "/v1/shops/{shop}/popular",
        summary="Popular products of the shop or of one part of it",
        responses=responses(ProductList, 304, 404),
        dependencies=KNOWN_PARAMETERS,
    )
    async def popular(
        request: Request,
        excluded: Excluded,
        shop: ShopName,
        collection: Name = None,
        vendor: Name = None,
        type: Name = None,
        segment: Name = None,
        channel: Name = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response:
        """Filter by at most one of collection (an id), vendor, type, segment and channel."""
        filters = {"collections": collection, "vendors": vendor, "types": type, "segments": segment}
        chosen = [(name, key) for name, key in {**filters, "channels": channel}.items() if key is not None]
        if len(chosen) > 1:
            raise Problem(
                422, "More than one filter is given.", "Send one of collection, vendor, type, segment, channel."
            )
        name, key = chosen[0] if chosen else ("popular", None)

        async def compose(version: Version) -> ProductList:
            return shop_list(version.shop(shop), name, key, limit, excluded)

        return await answer(request, (name, shop, key, limit), excluded, compose)

    @app.get(
        "/v1/shops/{shop}/trending",
        summary="Trending products",
        responses=responses(ProductList, 304, 404),
        dependencies=KNOWN_PARAMETERS,
    )
    async def trending(
        request: Request,
        excluded: Excluded,
        shop: ShopName,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response:

        async def compose(version: Version) -> ProductList:
            return shop_list(version.shop(shop), "trending", None, limit, excluded)

        return await answer(request, ("trending", shop, limit), excluded, compose)

    @app.post(
        "/v1/shops/{shop}/session",
        summary="Recommendations for a session in progress",
        responses=responses(ProductList, 404, 408, 413),
        dependencies=KNOWN_PARAMETERS,
        openapi_extra={
            "requestBody": {"required": True, "content": {"application/json": {"schema": reference(SessionSoFar)}}}
        },
    )
    async def session(
        request: Request,
        excluded: Excluded,
        shop: ShopName,
        limit: Annotated[int, InQuery(ge=1, le=MAX_LIMIT, description="Used if the body has no limit")] = DEFAULT_LIMIT,
    ) -> Response:
        """Similar sessions blended with the lists of the last five products, filled up with popular products."""
        try:
            so_far = msgspec.json.decode(await _body(request), type=SessionSoFar)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            remedy = 'Send {"products": ["4001", "4002"]}; "exclude": ["4000"] and "limit": 12 are optional.'
            raise Problem(422, f"The body is invalid: {error}", remedy) from error
        viewed = [product_id(str(viewed_id)) for viewed_id in so_far.products]
        banned = excluded | {product_id(str(excluded_id)) for excluded_id in so_far.exclude}

        async def compose(version: Version) -> ProductList:
            return await for_session(version.shop(shop), viewed, so_far.limit or limit, banned)

        body = msgspec.json.encode(await versions.answer(compose))
        return Response(body, media_type="application/json", headers={"cache-control": "no-store"})


def _add_visitor_route(app: FastAPI, versions: Versions, secrets: VisitorSecrets, access: Access) -> None:
    @app.get(
        "/v1/shops/{shop}/visitors/{visitor_id}",
        summary="Recommendations for a person",
        responses=responses(VisitorList, 401, 403, 404),
        openapi_extra={"security": [{"apiKey": []}, {"appProxy": []}]},
    )
    async def visitor(
        request: Request,
        excluded: Excluded,
        shop: ShopName,
        visitor_id: Annotated[
            str, InPath(max_length=255, description="The pixel's client id; with an API key also a journey id")
        ],
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response:
        """Needs an API key, or Shopify's app proxy, which gives access by client id only. Unknown visitors, and journey
        ids sent through the proxy, get the popular list."""
        has_key = access.key_of(request) is not None
        if has_key:
            access.check(request, shop, "visitors")
        authorization, now = request.headers.get("authorization", ""), time.time()
        refusal = why_refused(authorization, request.scope["query_string"], shop, secrets, now)
        if refusal and not has_key:
            raise Problem(
                401,
                refusal,
                "Send `Authorization: Bearer <key>` with a key from `pixelnova keys add --scope visitors` or from "
                "PIXELNOVA_API_KEY, or use the app proxy whose secret is in PIXELNOVA_APP_SECRET.",
                {"www-authenticate": "Bearer", "cache-control": CACHE_PRIVATE},
            )
        refuse_unknown_parameters(request)
        # Any browser can use the proxy, and a journey id is a guessable md5, so it needs a key. Only a key is accepted
        # with an empty query.
        by_journey = has_key or why_refused(authorization, b"", shop, secrets, now) is None

        async def compose(version: Version) -> VisitorList:
            return await for_visitor(version.shop(shop), visitor_id, by_journey, limit, excluded)

        body = msgspec.json.encode(await versions.answer(compose))
        return Response(body, media_type="application/json", headers={"cache-control": CACHE_PRIVATE})


def _add_operations_routes(app: FastAPI, versions: Versions, metrics: Metrics) -> None:
    @app.get("/healthz", summary="The version being served", responses=responses(Health))
    async def healthz() -> Response:
        version = await versions.current()
        body = msgspec.json.encode(Health(version.name, version.model_version, version.as_of))
        return Response(body, media_type="application/json", headers={"cache-control": "no-store"})

    @app.get(
        "/metrics", summary="Prometheus text", response_class=Response, responses={200: {"content": {"text/plain": {}}}}
    )
    async def prometheus() -> Response:
        return Response(await asyncio.to_thread(metrics.text), media_type="text/plain; version=0.0.4; charset=utf-8")


def _matches(header: str | None, tag: str) -> bool:
    """Whether If-None-Match has this tag, by weak comparison, as RFC 9110 requires."""
    return header is not None and any(given.strip().removeprefix("W/") in (tag, "*") for given in header.split(","))


async def _body(request: Request) -> bytes:
    too_large = Problem(
        413, f"The body is larger than {MAX_BODY_BYTES} bytes.", "Send only the session's last products."
    )
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
        raise Problem(
            408, f"The body did not arrive within {BODY_SECONDS:g} seconds.", "Send it without delay."
        ) from None
    return bytes(body)


@dataclass(frozen=True)
class ApiSettings:
    """requests_per_second: per address and worker, 0 is unlimited. secrets: authorize access to visitors' lists."""

    requests_per_second: int = 50
    secrets: VisitorSecrets = field(default_factory=VisitorSecrets)
