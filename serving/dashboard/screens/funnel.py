"""Funnel: from session to purchase, checkout steps, and outcomes of carts."""

import streamlit as st

from serving.dashboard.charts import bar_chart
from serving.dashboard.figures import cards, report_details, series, show_rows, table, title
from serving.dashboard.view import View

CARDS = ("add_to_cart_rate", "checkout_rate", "conversion_rate", "cart_abandonment_rate", "cart_recovery_rate")


def render(view: View) -> None:
    """The funnel as bars, by channel and device, then checkout and carts."""
    cards(view, CARDS)
    found = view.report("funnel")
    title(view, found)
    steps = found.rows.records()
    shown = {"open: in any order": "sessions_open", "closed: in sequence": "sessions_closed"}
    st.echarts_chart(
        bar_chart(
            [step["step"] for step in steps],
            {label: [step[column] for step in steps] for label, column in shown.items()},
            "count",
        ),
        height=320,
        key="funnel",
        alt="Sessions by step of the funnel",
    )
    show_rows(found)
    report_details(found)
    table(view, "funnel-by-channel")
    table(view, "checkout")
    table(view, "carts")
    series(view, "conversion_rate")
