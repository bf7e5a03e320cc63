"""Request and response types, and their OpenAPI description.

The description is generated from the types that are actually encoded and decoded.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from serving.api.refusals import Refusal
from serving.metrics import Metric
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


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI description, with the schemas of the types that are encoded."""
    if app.openapi_schema is None:
        description = get_openapi(title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes)
        lists = (Experiments, Recommendations, ProductList, VisitorList, Health, Refusal, SessionSoFar)
        kinds = (*lists, MetricAnswer, MetricList, ReportAnswer, Status)
        _, schemas = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
        description["components"] = {
            "schemas": schemas,
            "securitySchemes": {
                "apiKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": (
                        "A key made by `pixelnova keys add`, for its shop and scopes. Personal lists also accept a key "
                        "in PIXELNOVA_API_KEY. A key gives access by client id and by journey id."
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


class MetricValue(msgspec.Struct, frozen=True, omit_defaults=True):
    """One value. keys: one per dimension in `by`; earlier: the value in the comparison period, if any."""

    keys: list[str | int | float | bool | None]
    value: Decimal | float | int | None
    currency: str | None = None
    earlier: Decimal | float | int | None = None


class MetricAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A metric's values in a period of local dates, and the SQL that computed them."""

    shop: str
    version: str
    as_of: datetime
    metric: Metric
    first_date: date
    last_date: date
    earlier_first_date: date | None
    earlier_last_date: date | None
    by: list[str]
    filters: dict[str, str]
    values: list[MetricValue]
    sql: str


class MetricDescription(msgspec.Struct, frozen=True):
    """A metric and what it can be split and filtered by."""

    metric: Metric
    dimensions: list[str]


class MetricList(msgspec.Struct, frozen=True):
    """All metrics."""

    version: str
    metrics: list[MetricDescription]


class ReportColumn(msgspec.Struct, frozen=True):
    """A column of a report. unit: text, count, share, money, ratio, days, series or image."""

    name: str
    label: str
    unit: str


class ReportAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A report's rows for a period of local dates, and the SQL that computed them."""

    shop: str
    version: str
    as_of: datetime
    report: str
    title: str
    description: str
    first_date: date
    last_date: date
    columns: list[ReportColumn]
    rows: list[list[Any]]
    sql: str


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How fresh a shop's data are. as_of: newest event received, UTC; today: its local date."""

    shop: str
    version: str
    published_at: str
    as_of: datetime
    today: date
    first_date: date
    timezone: str
    currency: str | None
    model_version: str
