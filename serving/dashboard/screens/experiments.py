"""Experiments: each with its verdict, intervals, sample ratio check and the days still needed."""

from typing import Any

import streamlit as st

from serving.dashboard.charts import interval_chart
from serving.dashboard.figures import report_details, show_rows, title
from serving.dashboard.view import View

ALPHA = 0.001  # of the sample ratio, as in serving/experiments/results.py
FOUND, WITHHELD = "found", "withheld"


def render(view: View) -> None:
    """One section per experiment and phase: the newest phase of an experiment first, holdouts last."""
    found, results = view.report("experiments"), view.report("experiment-results")
    title(view, found)
    verdicts = found.rows.records()
    if not verdicts:
        st.info("No experiments are declared: see docs/experiments.md.")
        return
    begun = {verdict["experiment"] for verdict in verdicts if verdict["units"]}
    for verdict in sorted(verdicts, key=lambda one: (one["is_holdout"], one["experiment"], -one["phase"])):
        if verdict["units"]:
            _phase(verdict, results)
        elif verdict["experiment"] not in begun:
            st.info(f"**{verdict['experiment_name']}**, phase {verdict['phase']}: {verdict['sentence']}")
    report_details(found)
    report_details(results)


def _phase(verdict: dict[str, Any], results: Any) -> None:
    st.markdown(f"**{verdict['experiment_name']}**, phase {verdict['phase']}")
    show = st.success if verdict["status"] == FOUND else st.warning if verdict["status"] == WITHHELD else st.info
    show(verdict["sentence"].replace("$", r"\$"))
    p_value = verdict["sample_ratio_p_value"]
    is_uneven = p_value is not None and p_value < ALPHA
    needed = None if verdict["status"] == FOUND else verdict["days_needed"]
    st.caption(
        f"{verdict['units']:,} visitors, {verdict['left_out_units']:,} left out. Sample ratio "
        f"{'**not as declared**' if is_uneven else 'as declared'} (p = {p_value:.3f}). "
        f"{verdict['days']:.0f} days so far{f', {needed:,} more needed' if needed else ''}."
    )
    names = [column.name for column in results.report.columns]
    rows = [
        row
        for row in results.rows.rows
        if (row[names.index("experiment")], row[names.index("phase")]) == (verdict["experiment"], verdict["phase"])
    ]
    shown = [
        one
        for one in (dict(zip(names, row, strict=True)) for row in rows)
        if not one["is_adjusted"] and one["lift_lower"] is not None and one["lift_upper"] is not None
    ]
    if shown and not is_uneven:
        st.echarts_chart(
            interval_chart(
                [f"{one['metric'].replace('_', ' ')}, {one['variation']}" for one in shown],
                [(one["lift_lower"], one["lift"], one["lift_upper"]) for one in shown],
            ),
            height=80 + 34 * len(shown),
            key=f"intervals-{verdict['experiment']}-{verdict['phase']}",
            alt="Lift of each metric with its 95 % interval",
        )
    show_rows(results, hidden=("experiment", "phase"), rows=rows)
