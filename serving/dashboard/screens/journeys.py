"""Journeys: the most common paths, drawn as flows, and the time to the first purchase."""

import streamlit as st

from serving.dashboard.charts import bar_chart, sankey
from serving.dashboard.figures import report_details, show_rows, table, title
from serving.dashboard.view import View

STEPS, LINKS = 4, 40  # drawn


def render(view: View) -> None:
    """Flows, paths and time to purchase."""
    _flows(view)
    table(view, "paths")
    found = view.report("time-to-purchase")
    title(view, found)
    records = found.rows.records()
    if records:
        st.echarts_chart(
            bar_chart([one["days_range"] for one in records], {"People": [one["persons"] for one in records]}, "count"),
            height=260,
            key="time-to-purchase",
            alt="People by days to their first purchase",
        )
    show_rows(found)
    report_details(found)


def _flows(view: View) -> None:
    found = view.report("path-transitions")
    title(view, found)
    records = [one for one in found.rows.records() if one["step_number"] <= STEPS]
    strongest = sorted(records, key=lambda one: (-one["sessions"], one["step_number"]))[:LINKS]
    links = [
        (
            f"{one['step_number']} {one['from_step']}",
            "end" if one["to_step"] == "end" else f"{one['step_number'] + 1} {one['to_step']}",
            one["sessions"],
        )
        for one in strongest
    ]
    if links:
        st.echarts_chart(sankey(links), height=460, key="flows", alt="Flows between steps of sessions")
    else:
        st.info("No session has two steps yet.")
    report_details(found)
