"""Overview: the figures a merchant looks at first, and what changed."""

import streamlit as st

from serving.analytics.changes import SalesChange
from serving.dashboard.figures import cards, series
from serving.dashboard.formats import plain_text
from serving.dashboard.overview import CARDS, sentences
from serving.dashboard.view import View

SERIES = ("gross_sales", "visitors", "conversion_rate")


def render(view: View) -> None:
    """Cards, what changed most, and series."""
    cards(view, CARDS)
    changes = [view.sales_change(currency) for currency in view.currencies()]
    for number, change in enumerate(changes):
        if change is not None:
            if number == 0:
                st.markdown("#### What changed")
            st.markdown(changes_list(change))
    for name in SERIES:
        series(view, name)


def changes_list(change: SalesChange) -> str:
    """What changed as a Markdown list, with product titles escaped."""
    return "\n".join(f"- {plain_text(sentence)}" for sentence in sentences(change))
