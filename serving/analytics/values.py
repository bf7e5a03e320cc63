"""Values of metrics for a shop and a period: the catalogue's SQL, grouped and filtered by the catalogue's dimensions.

Takes a metric's name, a period, dimensions and filters; returns one value per group and currency, with the SQL that
computed it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from serving.analytics.periods import Period
from serving.analytics.reports import NotFilterable
from serving.analytics.store import Store
from serving.errors import ServingError
from serving.metrics import Metric, MetricCatalogue

DATE, WEEK = "date", "week"  # dimensions of every metric; a week is named by its Monday
TIMES = (DATE, WEEK)
# The CTE `sessions`, which dimensions read. Joining all sessions would take most of a query's time. Two days exceed the
# offset between any two time zones.
_SESSIONS = """sessions as (
    select
        session_id,
        channel,
        device,
        is_new_visitor
    from core.sessions
    where
        shop = $shop
        and started_at < $last + interval 2 days
        and ended_at >= $first - interval 2 days
)"""
_READS_SESSIONS = re.compile(r"\b(from|join) sessions\b")
Number = int | float | Decimal
Filters = Mapping[str, str]


class UnknownMetric(ServingError):
    """The name of a metric is unknown; the message lists all metrics."""


@dataclass(frozen=True)
class Value:
    """One value. keys: one per requested dimension, in order; currency: None if the metric has none."""

    keys: tuple[Any, ...]
    currency: str | None
    value: Number | None


@dataclass(frozen=True)
class Measured:
    """All values of a metric in a period, and the SQL with its parameters."""

    metric: Metric
    by: tuple[str, ...]
    values: tuple[Value, ...]
    sql: str
    parameters: Mapping[str, Any]

    def total(self, currency: str | None = None) -> Number | None:
        """The value of a metric measured without dimensions, in a currency if it has one."""
        return next((one.value for one in self.values if one.currency == currency), None)

    def by_key(self, currency: str | None = None) -> dict[Any, Number | None]:
        """Values by the key of the single dimension, in one currency."""
        return {one.keys[0]: one.value for one in self.values if one.currency == currency}


def find_metric(catalogue: MetricCatalogue, name: str) -> Metric:
    """A metric by its name.

    Raises:
        UnknownMetric: there is none.
    """
    if not catalogue:
        raise UnknownMetric("Older code published this version, without metrics: run `pixelnova refresh`.")
    if name not in catalogue:
        raise UnknownMetric(f"Unknown metric {name}: use one of {', '.join(catalogue)}.")
    return catalogue[name]


def measure(
    store: Store,
    shop: str,
    name: str,
    period: Period,
    by: Sequence[str] = (),
    filters: Filters | None = None,
) -> Measured:
    """Compute a metric.

    Args:
        by: dimensions of the metric, `date` or `week`. Groups without rows have no value.
        filters: values by dimension.

    Raises:
        UnknownMetric: the catalogue has no such metric.
        NotFilterable: the metric lacks one of the dimensions.
        ShopNotVisible: the reader may not see the shop.
    """
    catalogue = store.catalogue()
    metric = find_metric(catalogue, name)
    filters = {key: value for key, value in (filters or {}).items() if value is not None}
    known = catalogue.dimensions(metric)
    for dimension in (*by, *filters):
        if dimension not in known and not (dimension in TIMES and dimension in by):
            offered = ", ".join((*TIMES, *known))
            raise NotFilterable(f"{metric.label} cannot be split or filtered by {dimension}: use one of {offered}.")
    sql = _sql(catalogue, metric, tuple(by), tuple(filters))
    parameters = {
        "first": period.first,
        "last": period.last,
        **{f"only_{dimension}": value for dimension, value in filters.items()},
    }
    rows = store.query(shop, sql, parameters)
    width = len(by)
    values = tuple(Value(row[:width], row[width], _number(row[width + 1])) for row in rows.rows)
    if not values and not by and not catalogue.has_currency(metric):
        values = (Value((), None, None),)
    return Measured(metric, tuple(by), values, rows.sql, rows.parameters)


def over_time(measured: Measured, period: Period, currency: str | None = None) -> list[tuple[date, Number | None]]:
    """The metric's value for every date or week. Where there are no rows, a count or sum is 0, and anything else
    None."""
    found = measured.by_key(currency)
    empty = 0 if measured.metric.unit in ("count", "money") and not measured.metric.is_ratio else None
    dates = period.weeks() if measured.by == (WEEK,) else period.dates()
    return [(day, found.get(day, empty)) for day in dates]


def _sql(catalogue: MetricCatalogue, metric: Metric, by: tuple[str, ...], filters: tuple[str, ...]) -> str:
    parts = catalogue.parts(metric)
    aggregates = [_aggregate(part, by, filters, bool(part.currency)) for part in parts]
    tables = [_SESSIONS] if any(_READS_SESSIONS.search(sql) for sql in aggregates) else []
    if len(parts) == 1:
        return f"{_with(tables)}{aggregates[0]}\norder by all"
    numerator, denominator = parts
    keys = [f"key_{number}" for number in range(len(by))]
    both = bool(numerator.currency and denominator.currency)
    shared = [*keys, "currency"] if both else keys
    # A group without an amount has no currency, and so no value.
    join = "inner join" if numerator.currency and not both else "left join"
    joined = f"using ({', '.join(shared)})" if shared else "on true"
    currency = "currency" if both else "numerator.currency" if numerator.currency else "denominator.currency"
    selected = ",\n    ".join(
        [*keys, f"{currency} as currency", "cast(numerator.value as double) / nullif(denominator.value, 0) as value"]
    )
    tables += [
        f"{name} as (\n{_indented(sql)}\n)" for name, sql in zip(("numerator", "denominator"), aggregates, strict=True)
    ]
    return f"{_with(tables)}select\n    {selected}\nfrom denominator\n{join} numerator {joined}\norder by all"


def _with(tables: Sequence[str]) -> str:
    return "with\n\n" + ",\n\n".join(tables) + "\n\n" if tables else ""


def _aggregate(metric: Metric, by: tuple[str, ...], filters: tuple[str, ...], has_currency: bool) -> str:
    """The SQL of a metric over a mart: columns key_0 …, currency, value."""
    times = {DATE: metric.date, WEEK: f"cast(date_trunc('week', {metric.date}) as date)"}
    groups = [times.get(dimension) or metric.dimensions[dimension] for dimension in by]
    currency = metric.currency if has_currency else "cast(null as varchar)"
    selected = [f"{sql} as key_{number}" for number, sql in enumerate(groups)]
    conditions = [
        "shop = $shop",
        f"{metric.date} between $first and $last",
        *([f"({metric.where})"] if metric.where else []),
        *(f"{metric.dimensions[dimension]} = $only_{dimension}" for dimension in filters),
    ]
    grouped = [f"key_{number}" for number in range(len(by))] + (["currency"] if has_currency else [])
    columns = ",\n    ".join([*selected, f"{currency} as currency", f"{metric.expression} as value"])
    where = "\n    and ".join(conditions)
    return f"select\n    {columns}\nfrom {metric.mart}\nwhere\n    {where}" + (
        f"\ngroup by {', '.join(grouped)}" if grouped else ""
    )


def _indented(sql: str) -> str:
    return "\n".join(f"    {line}" for line in sql.splitlines())


def _number(value: Any) -> Number | None:
    """A finite number, or None."""
    if isinstance(value, float) and value != value:
        return None
    return value
