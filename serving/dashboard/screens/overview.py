"""Overview: the figures a merchant looks at first, and what changed."""

import streamlit as st

from serving.analytics.changes import Part, ProductPart, SalesChange, Segment
from serving.dashboard.figures import cards, series
from serving.dashboard.formats import number_text, plain_text
from serving.dashboard.view import View

CARDS = (
    *("visitors", "sessions", "conversion_rate", "orders"),
    *("gross_sales", "net_sales", "average_order_value", "new_visitor_share"),
)
SERIES = ("gross_sales", "visitors", "conversion_rate")
SHOWN = 3
FACTORS = {
    "sessions": ("more sessions", "fewer sessions"),
    "orders per session": ("more orders per session", "fewer orders per session"),
    "order value": ("higher order values", "lower order values"),
}


def render(view: View) -> None:
    """Cards, what changed most, and series."""
    cards(view, CARDS)
    changes = [view.sales_change(currency) for currency in view.currencies()]
    for number, change in enumerate(changes):
        if change is not None:
            if number == 0:
                st.markdown("#### What changed")
            st.markdown("\n".join(f"- {sentence}" for sentence in sentences(change)))
    for name in SERIES:
        series(view, name)


def sentences(change: SalesChange) -> list[str]:
    """What changed most and where, in words."""
    amount = _money(abs(change.difference), change.currency)
    if not change.difference:
        return [f"Gross sales in {change.currency} are as before."]
    verb = "rose" if change.difference > 0 else "fell"
    relative = f" ({change.difference / change.earlier:+.1%})" if change.earlier else ""
    found = [f"Gross sales {verb} by **{amount}**{relative}."]
    found += [_part(part, change.currency) for part in change.parts[:SHOWN]]
    found += [_product(product, change.currency) for product in change.products[:SHOWN]]
    return found


def _part(part: Part, currency: str) -> str:
    more, fewer = FACTORS[part.factor]
    return f"{_signed(part.amount, currency)} by {more if part.amount > 0 else fewer} from {_where(part.segment)}."


def _product(part: ProductPart, currency: str) -> str:
    """The segment's part is less than the whole, or more if other segments changed the other way."""
    return (
        f"{plain_text(part.title)}: {_signed(part.amount, currency)} of product sales, "
        f"{_signed(part.segment_amount, currency)} from {_where(part.segment)}."
    )


def _where(segment: Segment) -> str:
    channel, device = segment
    return f"{channel} on {device}" if device != "unknown" else channel


def _signed(amount: float, currency: str) -> str:
    return ("+" if amount > 0 else "−") + _money(abs(amount), currency)


def _money(amount: float, currency: str) -> str:
    return plain_text(number_text(amount, "money", currency))
