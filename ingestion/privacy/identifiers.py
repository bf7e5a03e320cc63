"""The identifiers of a person, in events and in Shopify's orders.

Four kinds: `client` (a browser), `token` (a checkout), `customer` and `order` (Shopify's ids). Values are normalized as
in the warehouse's columns client_id, checkout_token, customer_id and order_id.
"""

import base64
import binascii
import re
from typing import Any, NamedTuple

import msgspec

CLIENT, TOKEN, CUSTOMER, ORDER = "client", "token", "customer", "order"
COMPLETED = "checkout_completed"
# Their paths in an event, and their columns in the warehouse.
PATHS = {
    CLIENT: "$.clientId",
    TOKEN: "$.data.checkout.token",
    CUSTOMER: "$.data.checkout.order.customer.id",
    ORDER: "$.data.checkout.order.id",
}
COLUMNS = {CLIENT: "client_id", TOKEN: "checkout_token", CUSTOMER: "customer_id", ORDER: "order_id"}

# Like the macro shopify_id.
_NUMBER = re.compile(r'(?:^|/|"id": ?"?)0*([1-9][0-9]{0,19})(?:[.]0+)?/?(?:[?#"}].*)?$')
_BASE64_GID = "Z2lkOi8v"
_LONGEST_ID = 200

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Identifier(NamedTuple):
    """One identifier. kind: client, token, customer or order."""

    kind: str
    value: str


def identifier(kind: str, text: Any) -> Identifier | None:
    """The identifier in a stated value, normalized as in the warehouse; None if there is none."""
    if isinstance(text, float) and text.is_integer():
        text = int(text)
    if isinstance(text, int) and not isinstance(text, bool):
        if abs(text) >= 10**_LONGEST_ID:
            return None
        text = str(text)  # never as a float, which rounds ids above 2**53
    if not isinstance(text, str) or not text.strip():
        return None
    if kind in (CLIENT, TOKEN):
        return Identifier(kind, text.strip())
    value = _shopify_id(text)
    return None if value is None else Identifier(kind, value)


def _shopify_id(text: str) -> str | None:
    if text.startswith(_BASE64_GID):
        try:
            text = base64.b64decode(text + "=" * (-len(text) % 4)).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
    text = text.strip()
    found = _NUMBER.search(text)
    if found:
        return found[1]
    return text if len(text) <= _LONGEST_ID else None


def of_event(event: bytes) -> list[Identifier]:
    """The identifiers in an event; none if it is not a JSON object."""
    try:
        members = _members(event)
        stated = [(CLIENT, members.get("clientId"))]
        if b"checkout" in bytes(members.get("data", b"")):
            checkout = _object(_object(members["data"]).get("checkout"))
            order = _object(checkout.get("order"))
            customer = _object(order.get("customer"))
            stated += [(TOKEN, checkout.get("token")), (ORDER, order.get("id")), (CUSTOMER, customer.get("id"))]
        found = (identifier(kind, _value(raw)) for kind, raw in stated if raw is not None)
        return [one for one in found if one]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return []


def of_order(gid: str, node: dict[str, Any]) -> list[Identifier]:
    """The identifiers of an order of the Admin API. node: as in raw_shopify.orders."""
    customer = (node.get("customer") or {}).get("id")
    stated = ((ORDER, gid), (CUSTOMER, customer), (TOKEN, node.get("checkoutToken")))
    return [one for one in (identifier(kind, value) for kind, value in stated) if one]


def _value(raw: msgspec.Raw) -> Any:
    """The value, or None if it is a number beyond all ids: the event's other identifiers count all the same."""
    try:
        return msgspec.json.decode(raw)
    except msgspec.ValidationError:
        return None


def _object(raw: msgspec.Raw | None) -> dict[str, msgspec.Raw]:
    if raw is None or not bytes(raw).lstrip().startswith(b"{"):
        return {}
    return _members(raw)
