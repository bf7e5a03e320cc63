"""Takes personal data out of events and webhooks before they are written.

A decoded JSON document flows in; the same document without e-mail addresses, phone numbers, names and addresses flows
out, so that the merchant's warehouse stays at level 1 of Shopify's protected customer data. Numeric customer ids, order
ids and country codes stay: they are what journeys, reconciliation and erasure need.
"""

import decimal
import re
from typing import Any

import msgspec

# Events that Shopify fills with what a buyer has typed.
EVENTS_WITH_PERSONAL_DATA = ("checkout_", "payment_", "alert_displayed")

# What is taken out wherever it stands, in the pixel's camelCase and the Admin API's snake_case.
PERSONAL_KEYS = frozenset(
    {
        *("shop_owner", "customer_email"),
        *("email", "contactEmail", "contact_email", "phone", "smsMarketingPhone", "sms_marketing_phone"),
        *("firstName", "first_name", "lastName", "last_name", "company"),
        *("address1", "address2", "city", "zip", "latitude", "longitude"),
        *("browser_ip", "client_details", "payment_details", "note"),
        *("email_marketing_consent", "sms_marketing_consent"),
    }
)
# Objects of which only these keys stay.
ADDRESS_KEYS = frozenset(
    {
        *("billingAddress", "shippingAddress", "defaultAddress"),
        *("billing_address", "shipping_address", "default_address", "addresses", "destination"),
    }
)
KEPT_OF_ADDRESS = frozenset({"country", "countryCode", "country_code", "provinceCode", "province_code"})
CUSTOMER_KEYS = frozenset({"customer"})
KEPT_OF_ALERT = frozenset({"target", "type"})  # its value is what the buyer has typed
KEPT_OF_CUSTOMER = frozenset({"id", "admin_graphql_api_id", "isFirstOrder", "orders_count", "ordersCount"})

_decode = msgspec.json.Decoder(float_hook=decimal.Decimal).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode
_E_MAIL_TEXT = re.compile(r"[A-Za-z0-9._+-]{1,64}(?:@|%40)[A-Za-z0-9.-]{1,255}")
_E_MAIL = re.compile(_E_MAIL_TEXT.pattern.encode())
_PERSONAL_FIELD = re.compile(
    rb'("(?:' + "|".join(sorted(PERSONAL_KEYS)).encode() + rb')"\s*:\s*)(?:"(?:[^"\\]|\\.)*"?|[0-9.+-]+)'
)


def without_personal_data(document: Any) -> Any:
    """The document without personal data; keys whose value is taken out become null, so that shapes stay."""
    if isinstance(document, dict):
        return {key: _value(key, value) for key, value in document.items()}
    if isinstance(document, list):
        return [without_personal_data(element) for element in document]
    if isinstance(document, str) and ("@" in document or "%40" in document):
        return _E_MAIL_TEXT.sub("[e-mail]", document)  # in an address of a page, say
    return document


def _value(key: str, value: Any) -> Any:
    if key in PERSONAL_KEYS:
        return None
    if key in ADDRESS_KEYS:
        return _only(value, KEPT_OF_ADDRESS)
    if key in CUSTOMER_KEYS:
        return _only(value, KEPT_OF_CUSTOMER)
    if key == "alert":
        return _only(value, KEPT_OF_ALERT)
    return without_personal_data(value)


def _only(value: Any, kept: frozenset[str]) -> Any:
    if isinstance(value, list):
        return [_only(element, kept) for element in value]
    if isinstance(value, dict):
        return {key: inner for key, inner in value.items() if key in kept and not isinstance(inner, dict | list)}
    return None


def strip_json(text: bytes) -> bytes:
    """A JSON document without personal data: the same bytes if it has none, else encoded anew.

    Raises:
        msgspec.DecodeError, RecursionError: the text cannot be decoded.
    """
    document = _decode(text)
    stripped = without_personal_data(document)
    # A key may stand there twice: then the document does not show all that the text says.
    unchanged = stripped == document and not _PERSONAL_FIELD.search(text)
    return text if unchanged else _encode(stripped)


def redact_text(text: bytes) -> bytes:
    """A text that may be no JSON, with what can be told as personal data blotted out; only good for looking at."""
    return _E_MAIL.sub(b"[e-mail]", _PERSONAL_FIELD.sub(rb"\1null", text))
