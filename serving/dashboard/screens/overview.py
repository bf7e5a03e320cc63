"""Overview: the figures a merchant looks at first, and what changed."""

import streamlit as st

from serving.analytics.changes import Part, SalesChange
from serving.dashboard.figures import cards, series
from serving.dashboard.formats import number_text
from serving.dashboard.view import View

CARDS = (
    *("visitors", "sessions", "conversion_rate", "orders"),
    *("gross_sales", "net_sales", "average_order_value", "new_visitor_share"),
)
SERIES = ("visitors", "conversion_rate")
SHOWN = 3
FACTORS = {
    "sessions": ("more sessions", "fewer sessions"),
    "orders per session": ("more orders per session", "fewer orders per session"),
    "order value": ("higher order values", "lower order values"),
}


def render(view: View) -> None:
    """Cards, what changed most, and series."""
    cards(view, CARDS)
    for currency in view.currencies():
        change = view.sales_change(currency)
        if change is not None:
            st.markdown("#### What changed")
            st.markdown("\n".join(f"- {sentence}" for sentence in sentences(change)))
    for currency in view.currencies():
        series(view, "gross_sales", currency)
    for name in SERIES:
        series(view, name)


def sentences(change: SalesChange) -> list[str]:
    """What changed most and where, in words."""
    amount = number_text(abs(change.difference), "money", change.currency)
    if not change.difference:
        return [f"Gross sales in {change.currency} are as before."]
    verb = "rose" if change.difference > 0 else "fell"
    relative = f" ({change.difference / change.earlier:+.1%})" if change.earlier else ""
    found = [f"Gross sales {verb} by **{amount}**{relative}."]
    found += [_part(part, change.currency) for part in change.parts[:SHOWN]]
    found += [
        f"{product.title}: {_signed(product.amount, change.currency)} of product sales."
        for product in change.products[:SHOWN]
    ]
    return [sentence.replace("$", r"\$") for sentence in found]


def _part(part: Part, currency: str) -> str:
    more, fewer = FACTORS[part.factor]
    channel, device = part.segment
    where = f"{channel} on {device}" if device != "unknown" else channel
    return f"{_signed(part.amount, currency)} by {more if part.amount > 0 else fewer} from {where}."


def _signed(amount: float, currency: str) -> str:
    return ("+" if amount > 0 else "−") + number_text(abs(amount), "money", currency)
