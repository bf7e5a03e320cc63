"""Visitors: channels, cohorts and retention, segments, landing pages, campaigns and searches."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from serving.dashboard.charts import bar_chart, heat_map
from serving.dashboard.figures import (
    NOTHING_IN_PERIOD,
    NOTHING_YET,
    cards,
    details,
    report_details,
    show_rows,
    table,
    title,
)
from serving.dashboard.view import View

CARDS = (
    "visitors",
    "new_visitor_share",
    "sessions_per_visitor",
    "bounce_rate",
    "session_duration",
    "repeat_order_share",
)


COHORTS_DRAWN = 26  # the newest


def render(view: View) -> None:
    """All tables and heat maps."""
    cards(view, CARDS)
    _channels(view)
    _retention(view)
    _cohorts(view)
    for name in ("cohort-value", "segments", "discounts", "landing-pages", "campaigns", "searches"):
        table(view, name)


def _channels(view: View) -> None:
    measured = [view.measure(name, ["channel"]) for name in ("sessions", "conversion_rate")]
    sessions, conversion = measured
    if sessions is None or conversion is None:
        return
    st.markdown("#### Channels", help=sessions.metric.description)
    if not sessions.values:
        st.info(NOTHING_IN_PERIOD)
        return
    values = sorted(sessions.by_key().items(), key=lambda pair: -(pair[1] or 0))
    st.echarts_chart(
        bar_chart([channel for channel, _ in values], {"Sessions": [value for _, value in values]}, "count"),
        height=280,
        key="channels",
        alt="Sessions by channel",
    )
    rates = conversion.by_key()
    st.dataframe(
        {
            "Channel": [channel for channel, _ in values],
            "Sessions": [value for _, value in values],
            "Conversion rate": [rates.get(channel) for channel, _ in values],
        },
        hide_index=True,
        column_config={"Conversion rate": st.column_config.NumberColumn(format="percent")},
    )
    details([sessions, conversion])


def _retention(view: View) -> None:
    found = view.report("retention")
    title(view, found)
    records = found.rows.records()
    if not records:
        st.info("No week is complete yet.")
        return
    _heat_map(records, "cohort_week", "weeks_since", "retention")
    report_details(found)


def _cohorts(view: View) -> None:
    found = view.report("cohorts")
    title(view, found)
    if not found.rows.rows:
        st.info(NOTHING_YET)
    names = [column.name for column in found.report.columns]
    for kind in ("visitors", "customers"):
        rows = [row for row in found.rows.rows if row[names.index("cohort_kind")] == kind]
        if rows:
            st.markdown(f"**{kind.capitalize()}**")
            records = [dict(zip(names, row, strict=True)) for row in rows]
            _heat_map(records, "cohort_month", "months_since", f"cohorts-{kind}")
            show_rows(found, hidden=("cohort_kind",), rows=rows)
    report_details(found)


def _heat_map(records: Sequence[dict[str, Any]], cohort: str, age: str, key: str) -> None:
    cohorts = sorted({record[cohort] for record in records})[-COHORTS_DRAWN:]
    records = [record for record in records if record[cohort] in cohorts]
    ages = sorted({record[age] for record in records})
    cells = [(ages.index(record[age]), cohorts.index(record[cohort]), record["retention_rate"]) for record in records]
    st.echarts_chart(
        heat_map([f"{one:%Y-%m-%d}" for one in cohorts], [str(one) for one in ages], cells),
        height=max(220, 90 + 28 * len(cohorts)),
        key=key,
        alt="Share of each cohort that returned, by its age",
    )
