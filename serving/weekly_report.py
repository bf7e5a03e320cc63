"""A merchant's week: a shop's figures beside those of the week before, as HTML and as plain text.

Reads a published version through serving.analytics, which computes every number. Nothing in it is about individuals.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader

from serving.analytics.changes import sales_change
from serving.analytics.periods import InvalidPeriod, Period, compared_period
from serving.analytics.reports import run_report
from serving.analytics.store import ShopInfo, Store
from serving.analytics.values import find_metric, measure
from serving.dashboard.formats import UNKNOWN, change_text, number_text
from serving.dashboard.overview import CARDS, currencies, sentences

RECOMMENDATIONS = (
    *("recommendation_impressions", "recommendation_clicks", "recommendation_click_through_rate"),
    *("recommendation_sales", "recommendation_sales_share"),
)
QUALITY = (
    *("accepted_events", "quarantined_events", "late_event_share", "unknown_consent_share"),
    *("missing_order_share", "sales_difference"),
)
FUNNEL = ("step", "sessions_open", "share_open", "sessions_closed", "share_closed")
PRODUCTS = ("title", "views", "orders", "units", "sales_amount")
LOST = ("title", "people", "missed_sales_amount", "missed_sales_lower_amount", "missed_sales_upper_amount")
INCREMENTAL = ("experiment", "phase", "difference", "lower", "upper", "status")
CAUSES = ("cause", "source_name", "affected_orders", "orders", "amount")
ROWS = 10
TEMPLATE = "weekly_report.html"


@dataclass(frozen=True)
class Figure:
    """A metric's value in the week, and its change since the week before; empty if unknown."""

    label: str
    value: str
    change: str


@dataclass(frozen=True)
class Section:
    """A part of the report; header and rows are those of a table. note: what a reader must know about it."""

    title: str
    note: str = ""
    figures: tuple[Figure, ...] = ()
    sentences: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class WeeklyReport:
    """A shop's week as sections of plain text."""

    shop: ShopInfo
    period: Period
    note: str
    sections: tuple[Section, ...]

    @property
    def title(self) -> str:
        """Also the subject line of an e-mail."""
        return f"{_line(self.shop.name)}: week {week_name(self.period)}"

    def html(self) -> str:
        """One HTML document that loads nothing."""
        environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True)
        return environment.get_template(TEMPLATE).render(report=self)

    def text(self) -> str:
        """The same in plain text."""
        lines = [self.title, f"{self.period.first} to {self.period.last}", self.note]
        for section in self.sections:
            lines += ["", section.title.upper(), *filter(None, [section.note])]
            lines += [
                f"  {one.label}: {one.value}{f' ({one.change})' if one.change else ''}" for one in section.figures
            ]
            lines += [f"  - {sentence}" for sentence in section.sentences]
            lines += ["  " + " · ".join(row) for row in (section.header, *section.rows) if row]
        return "\n".join(line.rstrip() for line in lines) + "\n"


def week_period(week: str) -> Period:
    """The dates of an ISO week, Monday to Sunday.

    Raises:
        InvalidPeriod: it is not an ISO week such as 2026-W47.
    """
    try:
        return _week_of(date.fromisoformat(f"{week}-1"))
    except (ValueError, OverflowError):  # the last week of the year 9999 ends after it
        raise InvalidPeriod(f"{week} is not a week: write it as 2026-W47.") from None


def week_name(period: Period) -> str:
    """The ISO week of a period, such as 2026-W47."""
    return f"{period.first:%G-W%V}"


def last_week(shop: ShopInfo, now: datetime) -> Period:
    """The last week that is over in the shop's timezone."""
    return _week_of(now.astimezone(ZoneInfo(shop.timezone)).date() - timedelta(days=7))


def weekly_report(store: Store, shop: str, period: Period) -> WeeklyReport:
    """The report of a week.

    Raises:
        ShopNotVisible: the reader may not see the shop.
        InvalidPeriod: the shop had no events yet.
        UnknownMetric: older code published the version.
    """
    info = store.shop(shop)
    if not info.has_events or period.last < info.first_date:
        raise InvalidPeriod(f"{shop} had no events before {period.last + timedelta(days=1)}: choose a later week.")
    week = _Week(store, info, period)
    note = f"Includes events until {info.as_of:%Y-%m-%d %H:%M} UTC, compared with the week before."
    if info.today <= period.last:
        note += " The week was not complete then."
    return WeeklyReport(info, period, note, week.sections())


class _Week:
    """Gets the figures of a week from serving.analytics, and formats them."""

    def __init__(self, store: Store, shop: ShopInfo, period: Period) -> None:
        self._store, self._shop, self._period = store, shop, period
        earlier = compared_period(period, "previous")
        self._earlier = None if earlier.first < shop.first_date else earlier
        self._currencies = currencies(measure(store, shop.shop, "gross_sales", period), shop.currency)

    def sections(self) -> tuple[Section, ...]:
        found = (
            Section("Overview", figures=self._figures(CARDS)),
            Section("What changed", "Why gross sales differ from the week before.", sentences=self._changes()),
            self._table("Funnel", "funnel", FUNNEL),
            self._table("Top products", "products", PRODUCTS, by="sales_amount"),
            self._table("Lost demand", "lost-demand", LOST),
            Section("Recommendations", "Attributed to clicks in the week.", figures=self._figures(RECOMMENDATIONS)),
            self._table("Incremental sales", "incremental-sales", INCREMENTAL, note="Since each phase began. "),
            Section("Experiments", "Since each phase began.", sentences=self._experiments()),
            Section("Data quality", figures=self._figures(QUALITY)),
            self._table("Why Shopify's numbers differ", "reconciliation-causes", CAUSES),
        )
        return tuple(one for one in found if one.figures or one.sentences or one.rows)

    def _figures(self, names: Sequence[str]) -> tuple[Figure, ...]:
        catalogue, found = self._store.catalogue(), []
        for name in names:
            metric = find_metric(catalogue, name)
            now = measure(self._store, self._shop.shop, name, self._period)
            before = self._earlier and measure(self._store, self._shop.shop, name, self._earlier)
            for currency in self._currencies if catalogue.has_currency(metric) else [None]:
                label = f"{metric.label}, {currency}" if currency and len(self._currencies) > 1 else metric.label
                value = now.total(currency)
                change = change_text(value, before.total(currency), metric.unit) if before else None
                found.append(Figure(label, number_text(value, metric.unit, currency), change or ""))
        return tuple(found)

    def _changes(self) -> tuple[str, ...]:
        if self._earlier is None:
            return ()
        store, shop = self._store, self._shop.shop
        changes = (sales_change(store, shop, currency, self._period, self._earlier) for currency in self._currencies)
        return tuple(_line(sentence) for change in changes for sentence in sentences(change))

    def _experiments(self) -> tuple[str, ...]:
        """The verdict on the newest phase of each experiment that has visitors."""
        records = run_report(self._store, self._shop.shop, "experiments", self._period).rows.records()
        newest = {one["experiment"]: one for one in records if one["units"]}  # sorted by phase: the last one wins
        return tuple(
            _line(f"{one['experiment_name']}, phase {one['phase']}: {one['sentence']}") for one in newest.values()
        )

    def _table(self, title: str, name: str, columns: Sequence[str], by: str = "", note: str = "") -> Section:
        """The first rows of a report. by: an amount to sort by, largest first; the shop's currency comes first."""
        found = run_report(self._store, self._shop.shop, name, self._period)
        records = found.rows.records()
        if by:
            records.sort(key=lambda one: (one["currency"] != self._shop.currency, -(one[by] or 0)))
        declared = {column.name: column for column in found.report.columns}
        rows = tuple(
            tuple(_cell(one[column], declared[column].unit, one.get("currency")) for column in columns)
            for one in records[:ROWS]
        )
        header = tuple(declared[column].label for column in columns)
        return Section(title, note + found.report.description, header=header, rows=rows)


def _week_of(day: date) -> Period:
    monday = day - timedelta(days=day.weekday())
    return Period(monday, monday + timedelta(days=6))


def _cell(value: Any, unit: str, currency: str | None) -> str:
    if unit != "text":
        return number_text(value, unit, currency)
    return UNKNOWN if value is None else _line(str(value))


def _line(text: str) -> str:
    """Text from events, on one line and without control characters."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())
