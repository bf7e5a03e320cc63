"""Tables for merchants, one SQL file each in `reports/`: its header declares title, description, filters and columns.

Takes a report's name, a shop and a period; returns rows with the labels and units of their columns.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from serving.analytics.periods import Period
from serving.analytics.store import Rows, Store
from serving.errors import ServingError

FOLDER = Path(__file__).parent / "reports"
FILTERS = ("channel", "device", "new_or_known", "product_id")
UNITS = ("text", "count", "share", "money", "ratio", "days", "series", "image")


class UnknownReport(ServingError):
    """The name of a report is unknown; the message lists all reports."""


class NotFilterable(ServingError):
    """A number is not available for this filter or dimension; the message lists the available ones."""


@dataclass(frozen=True)
class Column:
    """A column of a report. unit: one of UNITS; money is in the currency of the row's column `currency`."""

    name: str
    label: str
    unit: str


@dataclass(frozen=True)
class Report:
    """A report as declared in its file. filters: those that it applies."""

    name: str
    title: str
    description: str
    filters: tuple[str, ...]
    columns: tuple[Column, ...]
    sql: str


@dataclass(frozen=True)
class Table:
    """The rows of a report for one shop and period."""

    report: Report
    rows: Rows


@cache
def reports() -> Mapping[str, Report]:
    """All reports, by name."""
    return {file.stem: _parsed(file.stem, file.read_text()) for file in sorted(FOLDER.glob("*.sql"))}


def run_report(store: Store, shop: str, name: str, period: Period, filters: Mapping[str, str] | None = None) -> Table:
    """Run a report.

    Raises:
        UnknownReport: the name is unknown.
        NotFilterable: it does not apply one of the filters; showing unfiltered numbers would mislead.
        ShopNotVisible: the reader may not see the shop.
    """
    report = reports().get(name)
    if report is None:
        raise UnknownReport(f"Unknown report {name}: use one of {', '.join(reports())}.")
    given = {key: value for key, value in (filters or {}).items() if value is not None}
    refused = [key for key in given if key not in report.filters]
    if refused:
        allowed = f"its filters are {', '.join(report.filters)}" if report.filters else "it has no filters"
        raise NotFilterable(f"{report.title} cannot be filtered by {', '.join(refused)}: {allowed}.")
    parameters: dict[str, Any] = {
        "first": period.first,
        "last": period.last,
        "days": period.days,
        **dict.fromkeys(FILTERS),
        **given,
    }
    return Table(report, store.query(shop, report.sql, parameters))


def _parsed(name: str, text: str) -> Report:
    header, sql = text.split("\n\n", 1)
    pairs = [line.removeprefix("-- ").split(":", 1) for line in header.splitlines()]
    title, description, filters, *columns = [value.strip() for _, value in pairs]
    return Report(
        name,
        title,
        description,
        tuple(part.strip() for part in filters.split(",") if part.strip()),
        tuple(_column(column_name, declared) for (column_name, _), declared in zip(pairs[3:], columns, strict=True)),
        sql.strip(),
    )


def _column(name: str, declared: str) -> Column:
    label, _, unit = declared.partition("|")
    return Column(name, label.strip(), unit.strip() or "text")
