"""Routes for numbers: metrics, reports and the state of a shop's data, for holders of an API key.

Reads requests, answers as JSON or CSV from the newest published version by serving.analytics.
"""

import asyncio
import csv
import io
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import Depends, FastAPI, Request, Response
from fastapi import Path as InPath
from fastapi import Query as InQuery

from serving.analytics.periods import InvalidPeriod, Period, compared_period, named_period
from serving.analytics.reports import NotFilterable, Table, UnknownReport, run_report
from serving.analytics.store import ShopInfo, ShopNotVisible, Store, Stores
from serving.analytics.values import Measured, UnknownMetric, measure
from serving.api.access import PRIVATE, Access
from serving.api.documents import responses
from serving.api.keys import Scope
from serving.api.parameters import refuse_unknown_parameters
from serving.api.refusals import Problem
from serving.metrics import Metric
from serving.published import NothingPublished

SECURITY = {"security": [{"apiKey": []}]}
KNOWN_PARAMETERS = [Depends(refuse_unknown_parameters)]
MAX_DIMENSIONS = 3
CSV = "text/csv"

ShopName = Annotated[str, InPath(max_length=255, description="The shop's domain: my-store.myshopify.com")]
From = Annotated[date | None, InQuery(alias="from", description="First local date; with `to`")]
To = Annotated[date | None, InQuery(description="Last local date; with `from`")]
PeriodName = Annotated[
    str, InQuery(max_length=20, description="Instead of dates: today, 7 days, 28 days, 90 days, month, all")
]
Filter = Annotated[
    list[str], InQuery(max_length=10, description="dimension:value, such as channel:email; several are combined")
]
Answer = TypeVar("Answer")


class MetricValue(msgspec.Struct, frozen=True, omit_defaults=True):
    """One value. keys: of the dimensions in `by`; earlier: of the period that is compared with, if one is."""

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
    """A column of a report. unit: text, count, share, money, ratio, days or series."""

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


KINDS = (MetricAnswer, MetricList, ReportAnswer, Status)


def add_analytics_routes(app: FastAPI, data: Path, access: Access) -> None:
    """Add the routes to the application."""
    stores = Stores(data)

    async def answer(request: Request, shop: str, scope: Scope, compose: Callable[[Store, ShopInfo], Answer]) -> Answer:
        """Compose an answer in a thread, seeing this shop only."""
        access.check(request, shop, scope)

        def composed() -> Answer:
            store = stores.newest(frozenset([shop.lower()]))
            return compose(store, store.shop(shop))

        try:
            return await asyncio.to_thread(composed)
        except (UnknownMetric, UnknownReport, ShopNotVisible) as error:
            raise Problem(404, str(error), "/v1/shops/{shop}/analytics/metrics lists the metrics.", PRIVATE) from error
        except (NotFilterable, InvalidPeriod) as error:
            raise Problem(422, str(error), "/openapi.json describes the parameters.", PRIVATE) from error
        except NothingPublished as error:
            raise Problem(503, str(error), "Run `pixelnova refresh`.", {"retry-after": "30"}) from error

    @app.get(
        "/v1/shops/{shop}/analytics/metrics",
        summary="The catalogue of metrics",
        responses=responses(MetricList, 401, 403, 404),
        dependencies=KNOWN_PARAMETERS,
        openapi_extra=SECURITY,
    )
    async def metrics(request: Request, shop: ShopName) -> Response:
        def compose(store: Store, _: ShopInfo) -> MetricList:
            catalogue = store.catalogue()
            return MetricList(
                store.version,
                [MetricDescription(metric, list(catalogue.dimensions(metric))) for metric in catalogue.values()],
            )

        return _json(await answer(request, shop, "analytics", compose))

    @app.get(
        "/v1/shops/{shop}/analytics/reports/{report}",
        summary="A report: funnel, products, cohorts, paths, lost-demand and others",
        responses=responses(ReportAnswer, 401, 403, 404),
        dependencies=KNOWN_PARAMETERS,
        openapi_extra=SECURITY,
    )
    async def report(
        request: Request,
        shop: ShopName,
        report: Annotated[str, InPath(max_length=60, description="Name of the report")],
        first: From = None,
        to: To = None,
        period: PeriodName = "28 days",
        filter: Filter = (),
    ) -> Response:
        """JSON, or CSV with `Accept: text/csv`."""
        filters = _filters(filter)

        def compose(store: Store, info: ShopInfo) -> tuple[ReportAnswer, Table]:
            chosen = _period(info, first, to, period)
            found = run_report(store, info.shop, report, chosen, filters)
            return ReportAnswer(
                shop=info.shop,
                version=store.version,
                as_of=info.as_of,
                report=report,
                title=found.report.title,
                description=found.report.description,
                first_date=chosen.first,
                last_date=chosen.last,
                columns=[ReportColumn(column.name, column.label, column.unit) for column in found.report.columns],
                rows=[list(row) for row in found.rows.rows],
                sql=found.rows.sql,
            ), found

        composed, found = await answer(request, shop, "analytics", compose)
        return _csv(found.rows.columns, found.rows.rows) if _wants_csv(request) else _json(composed)

    @app.get(
        "/v1/shops/{shop}/analytics/{metric}",
        summary="A metric",
        responses=responses(MetricAnswer, 401, 403, 404),
        dependencies=KNOWN_PARAMETERS,
        openapi_extra=SECURITY,
    )
    async def metric(
        request: Request,
        shop: ShopName,
        metric: Annotated[str, InPath(max_length=60, description="Name of the metric")],
        first: From = None,
        to: To = None,
        period: PeriodName = "28 days",
        by: Annotated[str, InQuery(max_length=100, description="Dimensions, comma-separated; `date` for days")] = "",
        compare: Annotated[str, InQuery(max_length=20, description="previous, year or none")] = "none",
        filter: Filter = (),
    ) -> Response:
        """JSON, or CSV with `Accept: text/csv`. Split by date, values of the earlier period are those of the same
        weekday; groups of the earlier period that are missing in this one are left out."""
        filters = _filters(filter)
        dimensions = [one.strip() for one in by.split(",") if one.strip()]
        if len(dimensions) > MAX_DIMENSIONS or len(set(dimensions)) < len(dimensions):
            raise Problem(422, f"by has more than {MAX_DIMENSIONS} dimensions, or one twice.", "Send fewer.", PRIVATE)

        def compose(store: Store, info: ShopInfo) -> MetricAnswer:
            chosen = _period(info, first, to, period)
            earlier = compared_period(chosen, compare)
            now = measure(store, info.shop, metric, chosen, dimensions, filters)
            before = measure(store, info.shop, metric, earlier, dimensions, filters) if earlier else None
            return MetricAnswer(
                shop=info.shop,
                version=store.version,
                as_of=info.as_of,
                metric=now.metric,
                first_date=chosen.first,
                last_date=chosen.last,
                earlier_first_date=earlier.first if earlier else None,
                earlier_last_date=earlier.last if earlier else None,
                by=dimensions,
                filters=filters,
                values=_values(now, before, chosen, earlier),
                sql=now.sql,
            )

        composed = await answer(request, shop, "analytics", compose)
        if not _wants_csv(request):
            return _json(composed)
        header = [*dimensions, "currency", metric, *(["earlier"] if composed.earlier_first_date else [])]
        rows = [[*one.keys, one.currency, one.value, one.earlier][: len(header)] for one in composed.values]
        return _csv(header, rows)

    @app.get(
        "/v1/shops/{shop}/status",
        summary="How fresh the shop's data are",
        responses=responses(Status, 401, 403, 404),
        dependencies=KNOWN_PARAMETERS,
        openapi_extra=SECURITY,
    )
    async def status(request: Request, shop: ShopName) -> Response:
        def compose(store: Store, info: ShopInfo) -> Status:
            manifest = store.published.manifest
            return Status(
                shop=info.shop,
                version=store.version,
                published_at=manifest.published_at,
                as_of=info.as_of,
                today=info.today,
                first_date=info.first_date,
                timezone=info.timezone,
                currency=info.currency,
                model_version=manifest.model_version,
            )

        return _json(await answer(request, shop, "status", compose))


def _period(info: ShopInfo, first: date | None, last: date | None, name: str) -> Period:
    if (first is None) != (last is None):
        raise InvalidPeriod("Only one of `from` and `to` is given: send both, or a period.")
    if first is not None and last is not None:
        return Period(first, last)
    return named_period(name, info.today, info.first_date)


def _filters(given: Sequence[str]) -> dict[str, str]:
    found = {}
    for text in given:
        dimension, separator, value = text.partition(":")
        if not separator or dimension in found:
            raise Problem(422, f"{text!r} is not a filter.", "Send filter=channel:email, once per dimension.", PRIVATE)
        found[dimension] = value
    return found


def _values(now: Measured, before: Measured | None, period: Period, earlier: Period | None) -> list[MetricValue]:
    shift = period.first - earlier.first if earlier else None
    found = {(one.keys, one.currency): one.value for one in before.values} if before else {}

    def key(one: Any) -> Any:
        return one - shift if shift and isinstance(one, date) else one

    return [
        MetricValue(
            [one.isoformat() if isinstance(one, date) else one for one in value.keys],
            value.value,
            value.currency,
            found.get((tuple(key(one) for one in value.keys), value.currency)),
        )
        for value in now.values
    ]


def _wants_csv(request: Request) -> bool:
    return CSV in request.headers.get("accept", "")


def _json(answer: Any) -> Response:
    """Decimals are numbers, as money is in Shopify's own events."""
    return Response(
        msgspec.json.Encoder(decimal_format="number").encode(answer), media_type="application/json", headers=PRIVATE
    )


def _csv(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> Response:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows(rows)
    return Response(text.getvalue(), media_type=f"{CSV}; charset=utf-8", headers=PRIVATE)
