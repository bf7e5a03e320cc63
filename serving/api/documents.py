"""What is asked for and answered, and the OpenAPI description of it.

The types that are really encoded and decoded flow in; the schemas and responses of the description flow out.
"""

from typing import Annotated, Any, Literal

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from serving.api.refusals import Refusal
from serving.published import Header, Item, Seed

DEFAULT_LIMIT = 12
MAX_LIMIT = 50
MAX_ID = 64  # characters
MAX_EXCLUDED = 200  # products in the body
MAX_SESSION_PRODUCTS = 50
DESCRIPTION = "What to show a shopper next. Answers are of one published version as a whole; every item may be shown."

Placement = Literal["product_page", "bought_together", "viewed_together"]
ProductId = (
    Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID)] | Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
)


def reference(kind: type) -> dict[str, str]:
    """Where the description holds the schema of a type."""
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def responses(kind: type, *statuses: int) -> dict[int | str, dict[str, Any]]:
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
        status: {"application/json": {"schema": reference(kind if status == 200 else Refusal)}}
        for status in descriptions
    }
    return {
        status: {"description": descriptions[status], **({} if status == 304 else {"content": content[status]})}
        for status in sorted({200, 422, 429, 503, *statuses})
    }


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI description, with the schemas of what is really encoded."""
    if app.openapi_schema is None:
        description = get_openapi(title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes)
        kinds = (Recommendations, ProductList, VisitorList, Health, Refusal, SessionSoFar)
        _, schemas = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
        description["components"] = {
            "schemas": schemas,
            "securitySchemes": {
                "apiKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key of PIXELNOVA_API_KEY. It opens client ids and journey ids.",
                },
                "appProxy": {
                    "type": "apiKey",
                    "in": "query",
                    "name": "signature",
                    "description": "Shopify's, of a request that its app proxy forwards. It opens client ids alone.",
                },
            },
        }
        app.openapi_schema = description
    return app.openapi_schema


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


class SessionSoFar(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """products: viewed in this session, oldest first, newest last; the last five count, and none is answered. limit,
    exclude: may stand in the query as well."""

    products: Annotated[list[ProductId], msgspec.Meta(min_length=1, max_length=MAX_SESSION_PRODUCTS)]
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_LIMIT)] | None = None
    exclude: Annotated[list[ProductId], msgspec.Meta(max_length=MAX_EXCLUDED)] = []
