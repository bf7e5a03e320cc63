"""Numbers as merchants read them.

Takes values with their unit and currency, returns text; an unknown value is a dash.
"""

from typing import Any

from babel.numbers import format_currency, format_decimal, format_percent

LOCALE = "en_US"
UNKNOWN = "–"


def number_text(value: Any, unit: str, currency: str | None = None) -> str:
    """A value in words, by its unit: 1,234 · 11.9% · $1,234.50 · 2 min 24 s."""
    if value is None:
        return UNKNOWN
    if unit == "money":
        if currency and currency != "unknown":
            return format_currency(value, currency, locale=LOCALE)
        return format_decimal(value, "#,##0.00", locale=LOCALE)
    if unit == "share":
        return format_percent(value, "#,##0.0%", locale=LOCALE)
    if unit == "seconds":
        return _duration(float(value))
    if unit == "days":
        return f"{format_decimal(value, '#,##0.#', locale=LOCALE)} days"
    if unit == "ratio":
        return format_decimal(value, "#,##0.00##", locale=LOCALE)
    return format_decimal(value, "#,##0.##", locale=LOCALE)


def change_text(value: Any, earlier: Any, unit: str) -> str | None:
    """The change since an earlier period: relative, and for shares in percentage points. None if one is unknown."""
    if value is None or earlier is None:
        return None
    if unit == "share":
        return f"{100 * (float(value) - float(earlier)):+.1f} pp"
    if not earlier:
        return None
    return f"{100 * (float(value) / float(earlier) - 1):+.1f}%"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    shown = [f"{amount} {name}" for amount, name in parts if amount][:2]
    return " ".join(shown) or "0 s"
