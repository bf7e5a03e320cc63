"""Removes selected events and orders from lines, files and rows, leaving anonymous orders if a shop keeps them."""

import json
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from ingestion.landing import Envelope, decode_envelope, read_lines, write_lines
from ingestion.privacy.anonymous import anonymous_line_row, anonymous_order, anonymous_order_row
from ingestion.privacy.files import mentions
from ingestion.privacy.identifiers import ORDER, identifier, of_order
from ingestion.privacy.selection import Selection
from ingestion.shops import Shop

KeepOrders = Callable[[str], bool]  # whether a shop keeps anonymous orders


def keep_orders_of(shops: Sequence[Shop]) -> KeepOrders:
    """Whether a shop keeps anonymous orders, as shops.toml says; shops that are not in it do."""
    kept = {shop.domain: shop.keep_orders_anonymous for shop in shops}
    return lambda shop: kept.get(shop, True)


def no_orders(shop: str) -> bool:
    """For files whose anonymous orders are in another file already."""
    return False


def remaining(line: bytes, envelope: Envelope, selection: Selection, keep_orders: KeepOrders) -> bytes | None:
    """What remains of a landing line: the line itself, an anonymous order, or nothing."""
    if not selection.has_event(envelope):
        return line
    if selection.suppressions.covers(envelope.shop, envelope.received_at):  # an erased shop keeps no anonymous orders
        return None
    return anonymous_order(envelope, selection.suppressions) if keep_orders(envelope.shop) else None


def rewrite(file: Path, selection: Selection, keep_orders: KeepOrders, mentioned: Collection[str] = ()) -> int:
    """Remove selected lines from a landing file or a part of one; returns how many were removed or changed.

    Args:
        mentioned: identifiers; a line that is not an envelope is removed if it mentions one.
    """
    before = list(read_lines(file))
    after = [_remaining(line, selection, keep_orders, mentioned) for line in before]
    changed = sum(old is not new for old, new in zip(before, after, strict=True))
    if changed:
        write_lines(file, [line for line in after if line is not None])
    return changed


def remaining_rows(
    table: str, rows: list[dict[str, Any]], selection: Selection, keep_orders: KeepOrders
) -> list[dict[str, Any]]:
    """What remains of rows of raw_shopify.orders or .order_lines; rows of other tables are unchanged."""
    if table == "orders":
        changed = (_order(row, selection, keep_orders) for row in rows)
    elif table == "order_lines":
        changed = (_order_line(row, selection, keep_orders) for row in rows)
    else:
        return rows
    return [row for row in changed if row is not None]


def _remaining(line: bytes, selection: Selection, keep_orders: KeepOrders, mentioned: Collection[str]) -> bytes | None:
    try:
        envelope = decode_envelope(line)
    except ValueError:  # not an envelope: all that can be recognized are long identifiers
        return None if mentions(line.decode(errors="replace"), mentioned) else line
    return remaining(line, envelope, selection, keep_orders)


def _order(row: dict[str, Any], selection: Selection, keep_orders: KeepOrders) -> dict[str, Any] | None:
    node = json.loads(row["node"])
    created_at = node.get("createdAt")
    created = datetime.fromisoformat(created_at) if created_at else None
    if not selection.has_order(row["shop"], of_order(row["id"], node), created):
        return row
    covered = created is not None and selection.suppressions.covers(row["shop"], created)
    return anonymous_order_row(row, selection.suppressions) if keep_orders(row["shop"]) and not covered else None


def _order_line(row: dict[str, Any], selection: Selection, keep_orders: KeepOrders) -> dict[str, Any] | None:
    order = identifier(ORDER, row["parent_id"])
    if order is None or not selection.has_line_of(row["shop"], order):
        return row
    return anonymous_line_row(row, selection.suppressions) if keep_orders(row["shop"]) else None
