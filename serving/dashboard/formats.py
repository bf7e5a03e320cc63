"""Numbers as merchants read them.

Takes values with their unit and currency, returns text; an unknown value is a dash.
"""

import re
from typing import Any

from babel.numbers import (
    format_currency,
    format_decimal,
    format_percent,
    get_currency_precision,
    get_currency_symbol,
)

LOCALE = "en_US"
UNKNOWN = "–"
UNKNOWN_CURRENCY = "unknown"
_MARKDOWN = re.compile(r"[\\`*_{}\[\]()<>#+\-.!|~$:&]")


def number_text(value: Any, unit: str, currency: str | None = None) -> str:
    """A value as text, by its unit: 1,234 · 11.9% · $1,234.50 · 2 min 24 s."""
    if value is None:
        return UNKNOWN
    if unit == "money":
        if currency and currency != UNKNOWN_CURRENCY:
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


def decimals(currency: str) -> int:
    """How many decimals a currency has."""
    return get_currency_precision(currency)


def money_format(currency: str | None) -> str:
    """The printf format of a column of amounts in one currency."""
    if not currency or currency == UNKNOWN_CURRENCY:
        return "%,.2f"
    symbol = get_currency_symbol(currency, locale=LOCALE).replace("%", "%%")
    return f"{symbol}%,.{decimals(currency)}f"


def plain_text(text: str) -> str:
    """Text from events, with Markdown escaped: a product's title must not place an image on a page."""
    return _MARKDOWN.sub(r"\\\g<0>", " ".join(text.split()))


def change_text(value: Any, earlier: Any, unit: str) -> str | None:
    """The change since an earlier period: relative, and for shares in percentage points. None if it is unknown."""
    if value is None or earlier is None:
        return None
    if unit == "share":
        return f"{100 * (float(value) - float(earlier)):+.1f} pp"
    if not earlier:
        return None
    return f"{100 * (float(value) - float(earlier)) / abs(float(earlier)):+.1f}%"  # from -50 to 100 is a rise


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    shown = [f"{amount} {name}" for amount, name in parts if amount][:2]
    return " ".join(shown) or "0 s"
