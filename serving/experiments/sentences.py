"""The verdict on an experiment, in a sentence that a merchant understands.

Takes results and reasons, returns text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serving.experiments.results import Phase, Result

# By metric: the words before and after the percentage, and whether more is better.
PHRASES = {
    "conversion": ("turned", "visitors into buyers", True),
    "revenue_per_visitor": ("sold", "per visitor", True),
    "net_revenue_per_visitor": ("sold", "per visitor after refunds", True),
    "average_order_value": ("sold", "per order", True),
    "units_per_order": ("sold", "units per order", True),
    "add_to_cart_rate": ("brought", "visitors to add to the cart", True),
    "click_through": ("got", "clicks per list", True),
    "refund_rate": ("had", "of its sales refunded", False),
}
KINDS = {
    "device": "device",
    "browser": "browser",
    "day": "day",
    "landing_page": "landing page",
    "channel": "channel",
    "visitor": "visitors",
    "segment": "segment",
}


@dataclass(frozen=True)
class Judged:
    """A verdict. status: withheld, no visitors, found, not found, too early; row: the result that it is about."""

    status: str
    sentence: str
    row: "Result | None" = None


def judged(
    phase: "Phase", results: Sequence["Result"], units: int, withheld: str | None, target_lift: float, minimum: str
) -> Judged:
    """The verdict on a phase.

    Args:
        results: one row per metric and variation, overall.
        units: number of visitors that count.
        withheld: why nothing is reported; None if results are.
        target_lift: the lift that a phase should be able to find.
        minimum: what each variation needs to be compared.
    """
    if withheld:
        return Judged("withheld", f"Withheld: {withheld}.")
    if not units:
        if phase.started_at > phase.as_of:
            return Judged("no visitors", f"It begins on {phase.started_at:%Y-%m-%d}.")
        return Judged("no visitors", "No visitor has seen it yet.")
    if phase.is_holdout:
        return _holdout(phase, results, target_lift, minimum)
    primary = [row for row in results if row.role == "primary"]
    harm = _harm(phase, results)
    found = [row for row in primary if _p_value(phase, row) < phase.alpha]
    if found:
        best = {row.variation: row for row in sorted(found, key=lambda row: -_p_value(phase, row))}
        rows = sorted(best.values(), key=lambda row: _p_value(phase, row))
        parts = [_difference(phase, row) for row in rows] + harm
        return Judged("found", "; ".join(parts) + ".", rows[0])
    if not primary:
        parts = [f"Too early: there is not enough to compare yet ({minimum})", *harm]
        return Judged("too early", "; ".join(parts) + ".")
    row = max(primary, key=lambda row: row.smallest_lift or float("inf"))
    if phase.has_ended or row.days_needed == 0:
        return Judged("not found", "; ".join([_nothing(row), *harm]) + ".", row)
    return Judged("too early", "; ".join([_early(row, target_lift), *harm]) + ".", row)


def _p_value(phase: "Phase", row: "Result") -> float:
    """From the fixed-horizon test if the phase has ended, else from the sequential test, valid at every look."""
    value = row.corrected_p_value if phase.has_ended else row.corrected_sequential_p_value
    return 1.0 if value is None else value


def _difference(phase: "Phase", row: "Result") -> str:
    verb, rest, _ = PHRASES[row.metric]
    if row.lift is None:
        direction = "more" if row.difference > 0 else "less"
        return f"Variation {row.variation} {verb} {direction} {rest} than the control, which has none"
    lower, upper = _bounds(phase, row)
    level = f"{(1 - phase.alpha) * 100:g} %"
    interval = "" if lower is None else f" ({level} interval {_span(row.lift, lower, upper)})"
    return f"Variation {row.variation} {verb} {_more(row.metric, row.lift)} {rest} than the control{interval}"


def _bounds(phase: "Phase", row: "Result") -> tuple[float | None, float | None]:
    if phase.has_ended:
        return row.lift_lower, row.lift_upper
    return row.sequential_lift_lower, row.sequential_lift_upper


def _more(metric: str, lift: float) -> str:
    fewer = "fewer" if PHRASES[metric][1].split()[0] in ("visitors", "units", "clicks") else "less"
    return f"{abs(lift) * 100:.1f} % {'more' if lift > 0 else fewer}"


def _span(lift: float, lower: float, upper: float) -> str:
    """In the direction of the lift: "3.1 to 7.3 %" less is a lift of -7.3 to -3.1 %."""
    low, high = (lower, upper) if lift > 0 else (-upper, -lower)
    return f"{low * 100:.1f} to {high * 100:.1f} %"


def _harm(phase: "Phase", results: Sequence["Result"]) -> list[str]:
    """The guardrails that variations broke, in words."""
    broken = [
        _difference(phase, row)
        for row in results
        if row.role == "guardrail"
        and _p_value(phase, row) < phase.alpha
        and (row.difference > 0) != PHRASES[row.metric][2]
    ]
    return [f"but {text[0].lower()}{text[1:]}" for text in broken]


def _nothing(row: "Result") -> str:
    if row.smallest_lift is None:
        return f"No difference was found between variation {row.variation} and the control"
    return (
        f"No difference was found between variation {row.variation} and the control: "
        f"one of {row.smallest_lift * 100:.0f} % or more would have been"
    )


def _early(row: "Result", target_lift: float) -> str:
    days = row.days_needed
    if days is None:
        return "Too early: the control has sold nothing yet"
    return f"Too early: about {days:,} more day{'' if days == 1 else 's'} to find a lift of {target_lift * 100:g} %"


def _holdout(phase: "Phase", results: Sequence["Result"], target_lift: float, minimum: str) -> Judged:
    rows = [row for row in results if row.metric == "incremental_sales" and row.difference is not None]
    if not rows:
        return Judged("too early", f"Too early: there are not enough sales to compare yet ({minimum}).")
    [row, *_] = rows
    currency = f" {row.currency}" if row.currency else ""
    level = f"{(1 - phase.alpha) * 100:g} % interval"
    attributed = (
        "" if row.attributed_sales is None else f"; {row.attributed_sales:,.0f}{currency} were attributed to them"
    )
    amount = f"{row.difference:,.0f}{currency}"
    interval = f"{level} {row.sequential_lower:,.0f} to {row.sequential_upper:,.0f}{currency}"
    if row.sequential_p_value < phase.alpha:
        if row.difference > 0:
            text = f"Recommendations brought {amount} of extra sales ({interval}){attributed}."
        else:
            interval = f"{level} {-row.sequential_upper:,.0f} to {-row.sequential_lower:,.0f}{currency}"
            text = f"Recommendations cost {-row.difference:,.0f}{currency} of sales ({interval}){attributed}."
        return Judged("found", text, row)
    if row.days_needed:
        return Judged(
            "too early",
            f"{_early(row, target_lift)}; so far recommendations brought {amount} of extra sales "
            f"({interval}){attributed}.",
            row,
        )
    return Judged("not found", f"No extra sales were found: {amount} ({interval}){attributed}.", row)


def mixed(share: float, limit: float) -> str:
    """Why a result is withheld: too many visitors saw several variations."""
    return (
        f"{share * 100:.1f} % of the visitors saw several variations, more than {limit * 100:g} %, "
        "so the groups overlap"
    )


def uneven(counts: Sequence[tuple[str, int, float]], p_value: float, causes: Sequence[tuple[str, str]]) -> str:
    """Why a result is withheld: the split differs from the declared one, and where it differs most."""
    observed = ", ".join(f"{variation} {units:,} (expected {expected:,.0f})" for variation, units, expected in counts)
    where = ", ".join(f"{KINDS.get(kind, kind)} {segment}" for kind, segment in causes)
    split = f"the split differs from the declared one: {observed}, p = {p_value:.1g}"
    return f"{split}; check {where}" if where else split
