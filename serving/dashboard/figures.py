"""Figures of the pages: cards, series and tables, each with its definition, SQL and CSV.

Takes a `View` and names of metrics and reports, writes Streamlit elements.
"""

import csv
import io
from collections.abc import Sequence
from typing import Any

import streamlit as st

from serving.analytics.reports import Column, Table
from serving.analytics.values import Measured, daily, find_metric
from serving.dashboard.charts import line_chart
from serving.dashboard.formats import UNKNOWN, change_text, number_text
from serving.dashboard.view import View

DELTA_COLORS = {"up": "normal", "down": "inverse", "neutral": "off"}
CARD_WIDTH = 165
NUMBER_FORMATS = {"count": "localized", "ratio": "%.3f", "days": "%.1f"}


def cards(view: View, names: Sequence[str]) -> None:
    """A card per metric: value, change and sparkline; then the definitions, SQL and data of all."""
    measured = []
    grid = st.grid(min_column_width=CARD_WIDTH)
    for name in names:
        metric = find_metric(view.store.catalogue(), name)
        total = view.measure(name)
        if total is None:
            grid.metric(
                metric.label, UNKNOWN, help=f"{metric.description} Not available for these filters.", border=True
            )
            continue
        measured.append(total)
        has_currency = view.store.catalogue().has_currency(metric)
        for currency in view.currencies() if has_currency else [None]:
            _card(grid, view, total, currency)
    details(measured)


def _card(grid: Any, view: View, total: Measured, currency: str | None) -> None:
    metric = total.metric
    value = total.total(currency)
    before = view.measure(metric.name, period=view.earlier) if view.earlier else None
    by_date = view.measure(metric.name, ["date"])
    points = daily(by_date, view.period, currency) if by_date else []
    label = f"{metric.label}, {currency}" if currency and len(view.currencies()) > 1 else metric.label
    grid.metric(
        label,
        number_text(value, metric.unit, currency),
        change_text(value, before.total(currency), metric.unit) if before else None,
        delta_color=DELTA_COLORS[metric.good],
        help=f"{metric.description} {metric.formula}",
        border=True,
        chart_data=[float(point or 0) for _, point in points] if len(points) > 1 else None,
        delta_description="vs. earlier" if before else None,
    )


def series(view: View, name: str, currency: str | None = None) -> None:
    """A metric by date, with the earlier period and annotations."""
    metric = find_metric(view.store.catalogue(), name)
    by_date = view.measure(name, ["date"])
    st.markdown(
        f"**{metric.label}**{f', {currency}' if currency else ''}", help=f"{metric.description} {metric.formula}"
    )
    if by_date is None:
        st.caption("Not available for these filters.")
        return
    points = daily(by_date, view.period, currency)
    earlier = []
    if view.earlier:
        before = view.measure(name, ["date"], view.earlier)
        earlier = daily(before, view.earlier, currency) if before else []
    st.echarts_chart(
        line_chart(metric.label, points, earlier, metric.unit, view.annotations()),
        height=260,
        key=f"series-{name}-{currency}",
        alt=f"{metric.label} by date",
    )
    details([by_date])


def table(view: View, name: str, hidden: Sequence[str] = (), rows: Sequence[Sequence[Any]] | None = None) -> Table:
    """A report as a table, with its definition, SQL and CSV."""
    found = view.report(name)
    title(view, found)
    show_rows(found, hidden, rows)
    report_details(found)
    return found


def title(view: View, found: Table) -> None:
    """A report's heading with its definition, and which of the chosen filters it does not apply."""
    st.markdown(f"#### {found.report.title}", help=found.report.description)
    if ignored := view.ignored_filters(found.report.name):
        st.caption(f"Not filtered by {' and '.join(one.replace('_', ' ') for one in ignored)}.")


def show_rows(found: Table, hidden: Sequence[str] = (), rows: Sequence[Sequence[Any]] | None = None) -> None:
    """The rows of a report, with numbers formatted by unit."""
    shown = found.rows.rows if rows is None else rows
    if not shown:
        st.info("Nothing in this period.")
        return
    columns = found.report.columns
    names = [column.name for column in columns]
    records = {
        column.name: [_cell(column, dict(zip(names, row, strict=True))) for row in shown]
        for column in columns
        if column.name not in hidden
    }
    st.dataframe(
        records,
        hide_index=True,
        width="stretch",
        placeholder=UNKNOWN,
        column_config={column.name: _config(column) for column in columns if column.name not in hidden},
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
            _download(f"{metric.name}.csv", header, rows, f"{metric.name}-{'-'.join(one.by)}")


def report_details(found: Table) -> None:
    """Definition, SQL and CSV of a report, on demand."""
    with st.expander(f"Definition, SQL and data: {found.report.title}"):
        st.markdown(found.report.description)
        st.code(_with_parameters(found.rows.sql, found.rows.parameters), language="sql")
        _download(f"{found.report.name}.csv", found.rows.columns, found.rows.rows, found.report.name)


def _download(file: str, header: Sequence[str], rows: Sequence[Sequence[Any]], key: str) -> None:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows(rows)
    st.download_button("Download CSV", text.getvalue(), file, "text/csv", key=f"csv-{key}", on_click="ignore")


def _with_parameters(sql: str, parameters: Any) -> str:
    named = "\n".join(f"-- ${name} = {value}" for name, value in parameters.items())
    return f"{named}\n{sql}"


def _cell(column: Column, record: dict[str, Any]) -> Any:
    value = record[column.name]
    if column.unit == "money":
        return number_text(value, "money", record.get("currency"))
    if column.unit == "share" and value is not None:
        return float(value)
    if column.unit in ("count", "ratio", "days") and value is not None:
        return float(value) if column.unit != "count" else int(value)
    return value


def _config(column: Column) -> Any:
    if column.unit == "share":
        return st.column_config.NumberColumn(column.label, format="percent")
    if column.unit in NUMBER_FORMATS:
        return st.column_config.NumberColumn(column.label, format=NUMBER_FORMATS[column.unit])
    if column.unit == "series":
        return st.column_config.LineChartColumn(column.label, y_min=0)
    if column.unit == "image":
        return st.column_config.ImageColumn(column.label)
    return st.column_config.Column(column.label)
