"""Routes for numbers: metrics, reports and the state of a shop's data, for holders of an API key.

Reads requests; answers in JSON or CSV with what serving.analytics computes from the newest published version.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import Depends, FastAPI, Request, Response
from fastapi import Path as InPath
from fastapi import Query as InQuery

from serving.analytics.csv_text import csv_text
from serving.analytics.periods import InvalidPeriod, Period, compared_period, named_period
from serving.analytics.reports import NotFilterable, Table, UnknownReport, run_report
from serving.analytics.store import ShopInfo, ShopNotVisible, Store, Stores
from serving.analytics.values import Measured, UnknownMetric, measure
from serving.api.access import PRIVATE, Access
from serving.api.documents import (
    MetricAnswer,
    MetricDescription,
    MetricList,
    MetricValue,
    ReportAnswer,
    ReportColumn,
    Status,
    responses,
)
from serving.api.keys import Scope
from serving.api.parameters import refuse_unknown_parameters
from serving.api.refusals import Problem
from serving.published import NothingPublished

MAX_DIMENSIONS = 3
CSV = "text/csv"

Answer = TypeVar("Answer")
ShopName = Annotated[str, InPath(max_length=255, description="The shop's domain: my-store.myshopify.com")]


@dataclass(frozen=True)
class Selection:
    """The dates and filters that a request asks for. first, last: None if it names a period instead."""

    first: date | None
    last: date | None
    period: str
    filters: dict[str, str]

    def dates(self, shop: ShopInfo) -> Period:
        """The dates in the shop's calendar.

        Raises:
            InvalidPeriod: they are not a period.
        """
        if (self.first is None) != (self.last is None):
            raise InvalidPeriod("Only one of `from` and `to` is given: send both, or a period.")
        if self.first is not None and self.last is not None:
            return Period(self.first, self.last)
        return named_period(self.period, shop.today, shop.first_date)


def selection(
    first: Annotated[date | None, InQuery(alias="from", description="First local date; with `to`")] = None,
    to: Annotated[date | None, InQuery(description="Last local date; with `from`")] = None,
    period: Annotated[
        str, InQuery(max_length=20, description="Instead of dates: today, 7 days, 28 days, 90 days, month, all")
    ] = "28 days",
    filter: Annotated[
        list[str], InQuery(max_length=10, description="dimension:value, such as channel:email; several are combined")
    ] = (),
) -> Selection:
    """The parameters of metrics and reports.

    Raises:
        Problem: a filter is malformed, or two have the same dimension.
    """
    filters: dict[str, str] = {}
    for text in filter:
        dimension, separator, value = text.partition(":")
        if not separator or dimension in filters:
            raise Problem(422, f"{text!r} is not a filter.", "Send filter=channel:email, once per dimension.", PRIVATE)
        filters[dimension] = value
    return Selection(first, to, period, filters)


def dimensions(
    by: Annotated[
        str, InQuery(max_length=100, description="Dimensions, comma-separated; `date` for days, `week` for weeks")
    ] = "",
) -> list[str]:
    """The dimensions that a metric is split by.

    Raises:
        Problem: there are too many, or one is repeated.
    """
    found = [one.strip() for one in by.split(",") if one.strip()]
    if len(found) > MAX_DIMENSIONS or len(set(found)) < len(found):
        raise Problem(422, f"by has more than {MAX_DIMENSIONS} dimensions, or repeats one.", "Send fewer.", PRIVATE)
    return found


def add_analytics_routes(app: FastAPI, data: Path, access: Access) -> None:
    """Add the routes to the application."""
    stores = Stores(data)

    def get(path: str, kind: type, summary: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        return app.get(
            f"/v1/shops/{{shop}}/{path}",
            summary=summary,
            responses=responses(kind, 401, 403, 404),
            dependencies=[Depends(refuse_unknown_parameters)],
            openapi_extra={"security": [{"apiKey": []}]},
        )

    async def answer(request: Request, shop: str, scope: Scope, compose: Callable[[Store, ShopInfo], Answer]) -> Answer:
        """Compose an answer in a thread, with access to this shop only."""
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

    @get("analytics/metrics", MetricList, "The catalogue of metrics")
    async def metrics(request: Request, shop: ShopName) -> Response:
        def compose(store: Store, _: ShopInfo) -> MetricList:
            catalogue = store.catalogue()
            return MetricList(
                store.version,
                [MetricDescription(metric, list(catalogue.dimensions(metric))) for metric in catalogue.values()],
            )

        return _json(await answer(request, shop, "analytics", compose))

    @get(
        "analytics/reports/{report}",
        ReportAnswer,
        "A report: funnel, products, cohorts, paths, lost-demand and others",
    )
    async def report(
        request: Request,
        shop: ShopName,
        report: Annotated[str, InPath(max_length=60, description="Name of the report")],
        selected: Annotated[Selection, Depends(selection)],
    ) -> Response:
        """JSON, or CSV with `Accept: text/csv`."""

        def compose(store: Store, info: ShopInfo) -> tuple[ReportAnswer, Table]:
            period = selected.dates(info)
            found = run_report(store, info.shop, report, period, selected.filters)
            return ReportAnswer(
                **_header(store, info, period),
                report=report,
                title=found.report.title,
                description=found.report.description,
                columns=[ReportColumn(column.name, column.label, column.unit) for column in found.report.columns],
                rows=[list(row) for row in found.rows.rows],
                sql=found.rows.sql,
            ), found

        composed, found = await answer(request, shop, "analytics", compose)
        return _csv(found.rows.columns, found.rows.rows) if _wants_csv(request) else _json(composed)

    @get("analytics/{metric}", MetricAnswer, "A metric")
    async def metric(
        request: Request,
        shop: ShopName,
        metric: Annotated[str, InPath(max_length=60, description="Name of the metric")],
        selected: Annotated[Selection, Depends(selection)],
        by: Annotated[list[str], Depends(dimensions)],
        compare: Annotated[str, InQuery(max_length=20, description="previous, year or none")] = "none",
    ) -> Response:
        """JSON, or CSV with `Accept: text/csv`. Split by date, a value is compared with that of the same weekday;
        groups that occur in the earlier period only are left out."""

        def compose(store: Store, info: ShopInfo) -> MetricAnswer:
            period = selected.dates(info)
            earlier = compared_period(period, compare)
            now = measure(store, info.shop, metric, period, by, selected.filters)
            before = measure(store, info.shop, metric, earlier, by, selected.filters) if earlier else None
            return MetricAnswer(
                **_header(store, info, period),
                metric=now.metric,
                earlier_first_date=earlier.first if earlier else None,
                earlier_last_date=earlier.last if earlier else None,
                by=by,
                filters=selected.filters,
                values=_values(now, before, period, earlier),
                sql=now.sql,
            )

        composed = await answer(request, shop, "analytics", compose)
        if not _wants_csv(request):
            return _json(composed)
        header = [*by, "currency", metric, *(["earlier"] if composed.earlier_first_date else [])]
        rows = [[*one.keys, one.currency, one.value, one.earlier][: len(header)] for one in composed.values]
        return _csv(header, rows)

    @get("status", Status, "How fresh the shop's data are")
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


def _header(store: Store, shop: ShopInfo, period: Period) -> dict[str, Any]:
    """The fields of every answer: which data, and which of their dates."""
    return {
        "shop": shop.shop,
        "version": store.version,
        "as_of": shop.as_of,
        "first_date": period.first,
        "last_date": period.last,
    }


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
    return Response(csv_text(header, rows), media_type=f"{CSV}; charset=utf-8", headers=PRIVATE)
