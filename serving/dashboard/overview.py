"""What the overview shows, without Streamlit: its metrics and currencies, and what changed in words.

The overview's page and the weekly report use it.
"""

from serving.analytics.changes import Part, ProductPart, SalesChange, Segment
from serving.analytics.values import Measured
from serving.dashboard.formats import number_text

CARDS = (
    *("visitors", "sessions", "conversion_rate", "orders"),
    *("gross_sales", "net_sales", "average_order_value", "new_visitor_share"),
)
SHOWN = 3
FACTORS = {
    "sessions": ("more sessions", "fewer sessions"),
    "orders per session": ("more orders per session", "fewer orders per session"),
    "order value": ("higher order values", "lower order values"),
}


def currencies(gross_sales: Measured | None, own: str | None) -> list[str]:
    """The currencies of a period's orders, the shop's own first; only that one if there are no orders."""
    found = {one.currency: one.value or 0 for one in gross_sales.values if one.currency} if gross_sales else {}
    ordered = sorted(found, key=lambda currency: (currency != own, -found[currency], currency))
    return ordered or ([own] if own else [])


def sentences(change: SalesChange) -> list[str]:
    """What changed most and where, as plain text."""
    amount = number_text(abs(change.difference), "money", change.currency)
    if not change.difference:
        return [f"Gross sales in {change.currency} are unchanged."]
    verb = "rose" if change.difference > 0 else "fell"
    relative = f" ({change.difference / change.earlier:+.1%})" if change.earlier else ""
    found = [f"Gross sales {verb} by {amount}{relative}."]
    found += [_part(part, change.currency) for part in change.parts[:SHOWN]]
    found += [_product(product, change.currency) for product in change.products[:SHOWN]]
    return found


def _part(part: Part, currency: str) -> str:
    more, fewer = FACTORS[part.factor]
    return f"{_signed(part.amount, currency)} due to {more if part.amount > 0 else fewer} from {_where(part.segment)}."


def _product(part: ProductPart, currency: str) -> str:
    """The segment's part is less than the whole, or more if other segments changed in the opposite direction."""
    return (
        f"{' '.join(part.title.split())}: {_signed(part.amount, currency)} of product sales, "
        f"{_signed(part.segment_amount, currency)} from {_where(part.segment)}."
    )


def _where(segment: Segment) -> str:
    channel, device = segment
    return f"{channel} on {device}" if device != "unknown" else channel


def _signed(amount: float, currency: str) -> str:
    return ("+" if amount > 0 else "−") + number_text(abs(amount), "money", currency)
