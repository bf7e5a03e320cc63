"""Anonymous orders: what is kept of an erased order, for accounting.

Money, products, dates and the country stay; identifiers become pseudonyms, the same ones in the pixel's event and in
the Admin API's order, so that the two still match. Everything else is dropped.
"""

import json
from typing import Any

import msgspec

from ingestion.landing import Envelope, encode_envelope
from ingestion.privacy.identifiers import COMPLETED, ORDER, TOKEN, identifier
from ingestion.privacy.suppression import Suppressions

SOURCE = "anonymous"  # of an envelope: neither the pixel nor a replay
_CHECKOUT = (
    *("currencyCode", "totalPrice", "subtotalPrice", "totalTax", "discountsAmount", "shippingLine"),
    *("linesComplete", "lineCount"),
)
_LINE = ("title", "quantity", "variant", "finalLinePrice")
# Without the code, which may identify a person.
_DISCOUNT = ("type", "value", "targetType", "targetSelection", "allocationMethod")
_NODE = (
    *("sourceName", "test", "createdAt", "processedAt", "updatedAt", "cancelledAt"),
    *("currencyCode", "presentmentCurrencyCode", "originalTotalPriceSet", "totalPriceSet", "netPaymentSet"),
    *("subtotalPriceSet", "totalDiscountsSet", "totalShippingPriceSet", "totalTaxSet", "totalRefundedSet"),
)

Node = dict[str, Any]


def anonymous_order(envelope: Envelope, suppressions: Suppressions) -> bytes | None:
    """The landing line of an order's event without its person; None if the event is not an order."""
    event = msgspec.json.decode(envelope.event)
    if event.get("name") != COMPLETED or not isinstance(event.get("timestamp"), str):
        return None
    checkout = _member(_member(event, "data"), "checkout")
    order_id = identifier(ORDER, _member(checkout, "order").get("id"))
    token = identifier(TOKEN, checkout.get("token"))
    if not checkout or not (order_id or token):
        return None

    def pseudonym(kind: str, value: Any) -> str:
        return suppressions.pseudonym(envelope.shop, kind, str(value))

    first = _member(_member(checkout, "order"), "customer").get("isFirstOrder")
    kept: Node = {name: checkout[name] for name in _CHECKOUT if name in checkout}
    kept |= {
        "token": token and pseudonym(*token),
        "order": {"id": order_id and pseudonym(*order_id), "customer": {"isFirstOrder": first}},
        "lineItems": [_line(line) for line in _listed(checkout, "lineItems")],
        "discountApplications": [_only(one, _DISCOUNT) for one in _listed(checkout, "discountApplications")],
        "localization": {"country": {"isoCode": _country(checkout)}},
    }
    anonymous = {
        "id": pseudonym("event", event.get("id")),
        "name": COMPLETED,
        "type": event.get("type"),
        "timestamp": event["timestamp"],
        "data": {"checkout": kept},
    }
    return encode_envelope(
        msgspec.structs.replace(
            envelope,
            source=SOURCE,
            request_id=pseudonym("request", f"{envelope.request_id} {envelope.index}"),
            index=0,
            visitor_hash=None,
            user_agent=None,
            gpc=False,
            consent=None,
            event=msgspec.Raw(msgspec.json.encode(anonymous)),
        )
    ).rstrip(b"\n")


def anonymous_order_row(row: Node, suppressions: Suppressions) -> Node:
    """A row of raw_shopify.orders without its person."""
    node = json.loads(row["node"])
    gid, token = _gid(row["shop"], row["id"], suppressions), identifier(TOKEN, node.get("checkoutToken"))
    kept = {name: node[name] for name in _NODE if name in node}
    kept |= {
        "id": gid,
        "refunds": [_refund(row["shop"], refund, suppressions) for refund in _listed(node, "refunds")],
        "customer": None,
        "checkoutToken": token and suppressions.pseudonym(row["shop"], *token),
        "cartToken": None,
        "customAttributes": [],
    }
    return {**row, "id": gid, "node": _text(kept)}


def anonymous_line_row(row: Node, suppressions: Suppressions) -> Node:
    """A row of raw_shopify.order_lines that belongs to an anonymous order."""
    node = {**json.loads(row["node"]), "customAttributes": []}
    return {**row, "parent_id": _gid(row["shop"], row["parent_id"], suppressions), "node": _text(node)}


def _refund(shop: str, refund: Node, suppressions: Suppressions) -> Node:
    return {**refund, "id": f"gid://shopify/Refund/{suppressions.pseudonym(shop, ORDER, str(refund.get('id')))}"}


def _gid(shop: str, gid: str, suppressions: Suppressions) -> str:
    order = identifier(ORDER, gid)
    assert order, gid
    return f"gid://shopify/Order/{suppressions.pseudonym(shop, *order)}"


def _text(node: Node) -> str:
    return json.dumps(node, separators=(",", ":"), ensure_ascii=False)


def _member(node: Any, name: str) -> Node:
    found = node.get(name) if isinstance(node, dict) else None
    return found if isinstance(found, dict) else {}


def _listed(node: Node, name: str) -> list[Node]:
    found = node.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _only(node: Node, names: tuple[str, ...]) -> Node:
    return {name: node[name] for name in names if name in node}


def _line(line: Node) -> Node:
    allocations = [
        {
            "amount": allocation.get("amount"),
            "discountApplication": _only(_member(allocation, "discountApplication"), _DISCOUNT),
        }
        for allocation in _listed(line, "discountAllocations")
    ]
    return {**_only(line, _LINE), "discountAllocations": allocations}


def _country(checkout: Node) -> str | None:
    code = _member(_member(checkout, "localization"), "country").get("isoCode")
    return code if isinstance(code, str) and len(code) == 2 else None
