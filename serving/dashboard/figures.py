"""Figures on the pages: cards, series and tables, each with its definition, SQL and CSV.

Takes a `View` and names of metrics and reports, writes Streamlit elements.
"""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from serving.analytics.csv_text import csv_text
from serving.analytics.reports import Column, Table
from serving.analytics.values import WEEK, Measured, find_metric, over_time
from serving.dashboard.charts import line_chart
from serving.dashboard.formats import UNKNOWN, change_text, money_format, number_text
from serving.dashboard.view import View

DELTA_COLORS = {"up": "normal", "down": "inverse", "neutral": "off"}
CARD_WIDTH = 165
NUMBER_FORMATS = {"count": "localized", "ratio": "%.3f", "days": "%.1f"}
SUNDAY = 6
MIXED = "mixed"  # several currencies
NOTHING_IN_PERIOD, NOTHING_YET = "No data in this period.", "Nothing to show yet."


def cards(view: View, names: Sequence[str]) -> None:
    """A card per metric: value, change and sparkline; then the definitions, SQL and data of all."""
    measured = []
    grid = st.grid(min_column_width=CARD_WIDTH)
    for name in names:
        metric = find_metric(view.store.catalogue(), name)
        total = view.measure(name)
        if total is None:
            grid.metric(
                metric.label,
                UNKNOWN,
                help=f"{metric.description} Not available for these filters.",
                border=True,
                height="stretch",
            )
            continue
        measured.append(total)
        currencies = view.currencies() if view.store.catalogue().has_currency(metric) else [None]
        known = [currency for currency in currencies if total.total(currency) is not None]
        for currency in known or currencies[:1]:
            _card(grid, view, total, currency)
    details(measured)


def _card(grid: Any, view: View, total: Measured, currency: str | None) -> None:
    metric = total.metric
    value = total.total(currency)
    before = view.measure(metric.name, period=view.earlier) if view.earlier else None
    by_step = view.measure(metric.name, [view.step])
    points = [point for _, point in over_time(by_step, view.period, currency)] if by_step else []
    label = f"{metric.label}, {currency}" if currency and len(view.currencies()) > 1 else metric.label
    grid.metric(
        label,
        number_text(value, metric.unit, currency),
        change_text(value, before.total(currency), metric.unit) if before else None,
        delta_color=DELTA_COLORS[metric.good],
        help=f"{metric.description} {metric.formula}",
        border=True,
        chart_data=[float(point or 0) for point in points] if len(points) > 1 and any(points) else None,
        height="stretch",
        delta_description="vs. earlier" if before else None,
    )


def series(view: View, name: str) -> None:
    """A metric by date or week, one chart per currency, with the earlier period and annotations."""
    catalogue = view.store.catalogue()
    metric = find_metric(catalogue, name)
    by_step = view.measure(name, [view.step])
    before = view.measure(name, [view.step], view.earlier) if view.earlier else None
    weekly = _weekly(view)
    for currency in view.currencies() if by_step and catalogue.has_currency(metric) else [None]:
        st.markdown(
            f"**{metric.label}{weekly}**{f', {currency}' if currency else ''}",
            help=f"{metric.description} {metric.formula}",
        )
        if by_step is None:
            st.caption("Not available for these filters.")
            return
        points = over_time(by_step, view.period, currency)
        if all(value is None for _, value in points):
            st.info(NOTHING_IN_PERIOD)
            continue
        earlier = over_time(before, view.earlier, currency) if before and view.earlier else []
        st.echarts_chart(
            line_chart(metric.label, points, earlier, metric.unit, currency, view.annotations()),
            height=260,
            key=f"series-{_key(by_step)}-{currency}",
            alt=f"{metric.label} by {view.step}",
        )
    if by_step:
        details([by_step])


def _weekly(view: View) -> str:
    """The suffix of a series' heading if it is drawn by week."""
    if view.step != WEEK:
        return ""
    return " by week" if view.period.last.weekday() == SUNDAY else " by week (last week incomplete)"


def table(view: View, name: str, hidden: Sequence[str] = (), rows: Sequence[Sequence[Any]] | None = None) -> Table:
    """A report as a table, with its definition, SQL and CSV."""
    found = view.report(name)
    title(view, found)
    show_rows(found, hidden, rows)
    report_details(found)
    return found


def title(view: View, found: Table) -> None:
    """A report's heading with its definition, and the chosen filters that it does not apply."""
    st.markdown(f"#### {found.report.title}", help=found.report.description)
    if ignored := view.ignored_filters(found.report.name):
        st.caption(f"Not filtered by {' and '.join(one.replace('_', ' ') for one in ignored)}.")


def show_rows(found: Table, hidden: Sequence[str] = (), rows: Sequence[Sequence[Any]] | None = None) -> None:
    """The rows of a report, with numbers formatted by unit."""
    shown = found.rows.rows if rows is None else rows
    if not shown:
        st.info(NOTHING_IN_PERIOD if "first" in found.rows.parameters else NOTHING_YET)
        return
    columns = [column for column in found.report.columns if column.name not in hidden]
    records = [dict(zip(found.rows.columns, row, strict=True)) for row in shown]
    currency = _currency(columns, records)
    st.dataframe(
        {column.name: [_cell(column, record, currency) for record in records] for column in columns},
        hide_index=True,
        width="stretch",
        placeholder=UNKNOWN,
        column_config={column.name: _config(column, currency) for column in columns},
    )


def details(measured: Sequence[Measured]) -> None:
    """Definition, SQL and CSV of metrics, on demand."""
    if not measured:
        return
    with st.expander("Definitions, SQL and data"):
        for one in measured:
            metric = one.metric
            st.markdown(f"**{metric.label}.** {metric.description} {metric.formula}")
            st.code(_with_parameters(one.sql, one.parameters), language="sql")
            header = [*one.by, "currency", metric.name]
            rows = [[*value.keys, value.currency, value.value] for value in one.values]
            _download(f"{metric.name}.csv", header, rows, _key(one))


def report_details(found: Table) -> None:
    """Definition, SQL and CSV of a report, on demand."""
    with st.expander(f"Definition, SQL and data: {found.report.title}"):
        st.markdown(found.report.description)
        st.code(_with_parameters(found.rows.sql, found.rows.parameters), language="sql")
        _download(f"{found.report.name}.csv", found.rows.columns, found.rows.rows, found.report.name)


def _key(measured: Measured) -> str:
    """A widget key: a page shows a metric once for each set of dimensions and filters."""
    return "-".join((measured.metric.name, *measured.by, *measured.parameters))


def _download(file: str, header: Sequence[str], rows: Sequence[Sequence[Any]], key: str) -> None:
    st.download_button("Download CSV", csv_text(header, rows), file, "text/csv", key=f"csv-{key}", on_click="ignore")


def _with_parameters(sql: str, parameters: Any) -> str:
    named = "\n".join(f"-- ${name} = {value}" for name, value in parameters.items())
    return f"{named}\n{sql}"


def _currency(columns: Sequence[Column], records: Sequence[dict[str, Any]]) -> str | None:
    """The currency of all amounts, or MIXED. Amounts of one currency are shown as numbers, which sort as numbers."""
    amounts = [column.name for column in columns if column.unit == "money"]
    found = {record.get("currency") for record in records if any(record[name] is not None for name in amounts)}
    return MIXED if len(found) > 1 else next(iter(found), None)


def _cell(column: Column, record: dict[str, Any], currency: str | None) -> Any:
    """A cell's value. currency: of all rows, or MIXED."""
    value = record[column.name]
    if value is None:
        return None
    if column.unit == "money" and currency == MIXED:
        return number_text(value, "money", record.get("currency"))
    if column.unit == "count":
        return int(value)
    return float(value) if column.unit in ("money", "share", "ratio", "days") else value


def _config(column: Column, currency: str | None) -> Any:
    if column.unit == "money" and currency == MIXED:
        return st.column_config.Column(column.label, alignment="right")
    if column.unit == "money":
        return st.column_config.NumberColumn(column.label, format=money_format(currency))
    if column.unit == "share":
        return st.column_config.NumberColumn(column.label, format="percent")
    if column.unit in NUMBER_FORMATS:
        return st.column_config.NumberColumn(column.label, format=NUMBER_FORMATS[column.unit])
    if column.unit == "series":
        return st.column_config.LineChartColumn(column.label, y_min=0)
    if column.unit == "image":
        return st.column_config.ImageColumn(column.label)
    return st.column_config.Column(column.label)
