"""Request and response types, and their OpenAPI description.

The description is generated from the types that are actually encoded and decoded.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from serving.api.refusals import Refusal
from serving.published import Experiments, Header, Item, Seed

DEFAULT_LIMIT = 12
MAX_LIMIT = 50
MAX_ID = 64  # characters
MAX_EXCLUDED = 200  # products in the body
MAX_SESSION_PRODUCTS = 50
DESCRIPTION = (
    "Product recommendations and a shop's numbers. Each response comes from a single published version; every item of "
    "a list may be shown."
)

Placement = Literal["product_page", "bought_together", "viewed_together", "similar"]
ProductId = (
    Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID)] | Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
)


def reference(kind: type) -> dict[str, str]:
    """A reference to the schema of a type."""
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def responses(kind: type, *statuses: int) -> dict[int | str, dict[str, Any]]:
    """The responses of a route; statuses that any route can return are added."""
    descriptions = {
        200: "Success",
        304: "Not modified",
        401: "Not authorized",
        403: "The API key does not permit this",
        404: "Not found",
        408: "The request body timed out",
        413: "The request body is too large",
        422: "Invalid request",
        429: "Too many requests from this address",
        503: "Nothing is published",
    }
    content = {
        status: {"application/json": {"schema": reference(kind if status == 200 else Refusal)}}
        for status in descriptions
    }
    return {
        status: {"description": descriptions[status], **({} if status == 304 else {"content": content[status]})}
        for status in sorted({200, 422, 429, 503, *statuses})
    }


def describe(app: FastAPI, more_kinds: Sequence[type]) -> dict[str, Any]:
    """The OpenAPI description, with the schemas of the types that are encoded: those of this module, and more."""
    if app.openapi_schema is None:
        description = get_openapi(title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes)
        kinds = (Experiments, Recommendations, ProductList, VisitorList, Health, Refusal, SessionSoFar, *more_kinds)
        _, schemas = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
        description["components"] = {
            "schemas": schemas,
            "securitySchemes": {
                "apiKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": (
                        "A key that `pixelnova keys add` made, for its shop and scopes. Lists of persons also accept a "
                        "key of PIXELNOVA_API_KEY. A key gives access by client id and by journey id."
                    ),
                },
                "appProxy": {
                    "type": "apiKey",
                    "in": "query",
                    "name": "signature",
                    "description": "Shopify's signature of an app proxy request. It gives access by client id only.",
                },
            },
        }
        app.openapi_schema = description
    return app.openapi_schema


class Recommendations(Header, frozen=True, kw_only=True):
    """Recommendations for a product page."""

    placement: Placement
    seed: Seed
    items: list[Item]


class ProductList(Header, frozen=True, kw_only=True):
    """Recommendations without a seed product. list: as in lists.json, or session; key: the collection, vendor, type…"""

    list_name: str = msgspec.field(name="list")
    key: str | None = None
    items: list[Item]


class VisitorList(Header, frozen=True, kw_only=True):
    """Recommendations for a person. strategy: popular if the person is unknown."""

    list_name: str = msgspec.field(default="visitor", name="list")
    strategy: str
    segment: str | None
    channel: str | None
    items: list[Item]


class Health(msgspec.Struct, frozen=True):
    """The version being served. as_of: newest received_at included, UTC."""

    version: str
    model_version: str
    as_of: str | None


class SessionSoFar(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """products: viewed in this session, oldest first; the last five count, and none of them is returned.
    limit, exclude: may be given in the query instead."""

    products: Annotated[list[ProductId], msgspec.Meta(min_length=1, max_length=MAX_SESSION_PRODUCTS)]
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_LIMIT)] | None = None
    exclude: Annotated[list[ProductId], msgspec.Meta(max_length=MAX_EXCLUDED)] = []
