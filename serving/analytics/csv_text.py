"""Figures as CSV, for spreadsheets.

Takes rows, returns text.
"""

import csv
import io
from collections.abc import Sequence
from typing import Any

# How spreadsheets recognise a formula, also after a line break or in full width.
_OF_FORMULAS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def csv_text(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """CSV whose texts are inert: one from a public event, such as a search, may be a formula that leaks the table."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows([_inert(cell) for cell in row] for row in rows)
    return text.getvalue()


def _inert(cell: Any) -> Any:
    """An apostrophe makes a spreadsheet read the cell as text."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_OF_FORMULAS) else cell
