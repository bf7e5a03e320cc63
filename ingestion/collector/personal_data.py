"""Removes personal data from events, webhooks and refused bodies before they are written.

Reads JSON and returns it without email addresses, phone numbers, names, addresses, secrets and buyers' input, so that
the merchant's warehouse stays at level 1 of Shopify's protected customer data. personal_data.json defines what is
personal. Ids of customers, orders and checkouts and country codes stay: journeys, reconciliation and erasure need them.
"""

import decimal
import re
from collections import Counter
from functools import lru_cache
from typing import Any

import msgspec

from ingestion.collector.broken_text import skeleton
from ingestion.collector.harmless import is_harmless
from ingestion.collector.personal_rules import (
    BESIDE_PERSONAL,
    FIELD_NAMES,
    FIELD_VALUES,
    KEPT_OF_ADDRESSES,
    KEPT_OF_ALERTS,
    KEPT_OF_PERSONS,
    KEPT_PAIRS,
    ORDERS,
    PAIRS_HELD_BY,
    PAIRS_OR_OBJECTS,
    Key,
    key_of,
)
from ingestion.collector.personal_text import (
    TEXT_RULES,
    clean_search,
    clean_text,
    greets_somebody,
    without_names,
)

MAX_REMEMBERED_KEYS = 60  # of one object

# The rules for keys and shapes, by their names in the metrics; TEXT_RULES are the rules for texts.
KEY, KEPT_WITHIN, ADDRESS, PERSON, PAIR, ALERT = "key", "kept_within", "address", "person", "line_property", "alert"
TAGS, BESIDE, FIELD, TITLE, IDENTIFIER = "order_tags", "beside_personal", "named_field", "title_name", "identifier"
REMOVAL_RULES = (KEY, KEPT_WITHIN, ADDRESS, PERSON, PAIR, ALERT, TAGS, BESIDE, FIELD, TITLE, IDENTIFIER, *TEXT_RULES)

_decode = msgspec.json.Decoder(float_hook=decimal.Decimal).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')


def strip_json(text: bytes, removed: Counter[str] | None = None) -> bytes:
    """A valid JSON document without personal data: the same bytes if it has none, else re-encoded.

    Args:
        removed: counts what was removed, by rule (REMOVAL_RULES).

    Raises:
        msgspec.DecodeError, UnicodeDecodeError, RecursionError: the text cannot be decoded.
    """
    if is_harmless(text):
        return text
    document = _decode(text)
    stripped = without_personal_data(document, removed)
    if stripped != document:
        return _encode(stripped)
    # With duplicate keys, the decoded document lacks part of the text.
    whole = _encode(document)
    return text if _strings(text) == _strings(whole) else whole


def _strings(text: bytes) -> int:
    """How many strings a JSON document has."""
    return len(_STRING.findall(text)) if b"\\" in text else text.count(b'"') // 2


def without_personal_data(document: Any, removed: Counter[str] | None = None) -> Any:
    """The document without personal data; removed values become null, which keeps the shape."""
    counts = Counter() if removed is None else removed
    return _object(document, None, counts) if isinstance(document, dict) else _value(_NO_KEY, document, None, counts)


def _none(value: Any, rule: str, removed: Counter[str]) -> None:
    """Return null in place of a value, and count the removal if there was one."""
    if value not in (None, "", [], {}):
        removed[rule] += 1


class _Shape:
    """What an object's keys alone reveal; cached, because most objects share their keys with others."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        self.keys = [(clean_text(key), key_of(key)) for key in keys]
        names = {known.name for _, known in self.keys}
        self.is_order = not names.isdisjoint(ORDERS)
        self.may_be_somebody = not self.is_order and any(known.is_personal for _, known in self.keys)
        self.holds_pairs = not names.isdisjoint(PAIRS_HELD_BY)
        self.is_field = not names.isdisjoint(FIELD_NAMES) and not names.isdisjoint(FIELD_VALUES)


_remembered_shape = lru_cache(1024)(_Shape)


def _object(members: dict[str, Any], within: Key | None, removed: Counter[str]) -> dict[str, Any]:
    keys = tuple(members)
    shape = _remembered_shape(keys) if len(keys) <= MAX_REMEMBERED_KEYS else _Shape(keys)
    is_somebody = shape.may_be_somebody and within is not None and _is_somebody(shape, members)
    names_a_field = shape.is_field and _names_a_field(shape, members)
    stripped = {}
    for (key, known), value in zip(shape.keys, members.values(), strict=True):
        if value is None or value is True or value is False:
            stripped[key] = value
        elif shape.is_order and known.is_of_orders:
            stripped[key] = _none(value, TAGS, removed)
        elif is_somebody and known.name in BESIDE_PERSONAL:
            stripped[key] = _none(value, BESIDE, removed)
        elif names_a_field and known.name in FIELD_VALUES:
            stripped[key] = _none(value, FIELD, removed)
        elif known.name in PAIRS_OR_OBJECTS and isinstance(value, dict) and not shape.holds_pairs:
            stripped[key] = _object(value, known, removed)
        else:
            stripped[key] = _value(known, value, within, removed)
    return stripped


def _is_somebody(shape: _Shape, members: dict[str, Any]) -> bool:
    """Whether an object describes a person: it has, for example, an email address next to a name and a message."""
    values = zip(shape.keys, members.values(), strict=True)
    return any(known.is_personal and value not in (None, "", True, False) for (_, known), value in values)


def _names_a_field(shape: _Shape, members: dict[str, Any]) -> bool:
    """Whether an object has a form like `{"name": "email", "value": …}`."""
    labels = zip(shape.keys, members.values(), strict=True)
    return any(
        known.name in FIELD_NAMES and isinstance(label, str) and _is_special(label) for (_, known), label in labels
    )


def _is_special(label: str) -> bool:
    known = key_of(label)
    return known.is_personal or known.is_person or known.is_address or known.kept_within is not None


def _value(key: Key, value: Any, within: Key | None, removed: Counter[str]) -> Any:
    """The value of a key without personal data; `within` is the key of the enclosing object."""
    if isinstance(value, bool) or value is None:
        return value
    if key.is_neutral:
        if type(value) is str:
            return _text(key, value, within, removed)
        if type(value) is dict:
            return _object(value, key, removed)
        return _list(key, value, within, removed) if type(value) is list else value
    if key.is_address and isinstance(value, dict | list):
        return _only(value, KEPT_OF_ADDRESSES, ADDRESS, removed)
    if key.is_personal or (key.is_person and not isinstance(value, dict | list)):
        return _none(value, KEY, removed)
    if key.kept_within is not None and (within is None or within.name not in key.kept_within):
        return _none(value, KEPT_WITHIN, removed)
    if key.is_person:
        return _only(value, KEPT_OF_PERSONS, PERSON, removed)
    if key.is_alert:
        return _only(value, KEPT_OF_ALERTS, ALERT, removed)
    if key.is_pairs:
        return _pairs(value, removed)
    if isinstance(value, dict):
        return _object(value, key, removed)
    if isinstance(value, list):
        return _list(key, value, within, removed)
    return _text(key, value, within, removed) if isinstance(value, str) else value


def _only(value: Any, kept: frozenset[str], rule: str, removed: Counter[str]) -> Any:
    """Only the `kept` scalar members of an object, or of each object in a list."""
    if isinstance(value, list):
        return [_only(element, kept, rule, removed) for element in value]
    if not isinstance(value, dict):
        return _none(value, rule, removed)
    stripped = {}
    for key, inner in value.items():
        known = key_of(key)
        if known.name in kept and not isinstance(inner, dict | list):
            stripped[key] = _value(known, inner, None, removed)
        else:
            _none(inner, rule, removed)
    return stripped


def _pairs(value: Any, removed: Counter[str]) -> Any:
    """Line properties and cart attributes without buyers' input; our own are kept."""
    if isinstance(value, dict):
        return {
            key: inner if _is_ours(key, inner) else _none(inner, PAIR, removed)
            for key, inner in value.items()
            if clean_text(key) == key
        }
    if not isinstance(value, list):
        return _none(value, PAIR, removed)
    return [_pair(pair, removed) if isinstance(pair, dict) else _none(pair, PAIR, removed) for pair in value]


def _pair(pair: dict[str, Any], removed: Counter[str]) -> dict[str, Any]:
    name = str(pair.get("key", pair.get("name")))
    return {
        part: inner if part in ("key", "name") or _is_ours(name, inner) else _none(inner, PAIR, removed)
        for part, inner in _object(pair, None, removed).items()
    }


def _is_ours(key: str, value: Any) -> bool:
    return key.startswith(KEPT_PAIRS) and isinstance(value, str) and clean_text(value) == value


def _list(key: Key, elements: list[Any], within: Key | None, removed: Counter[str]) -> list[Any]:
    if len(elements) == 2 and isinstance(elements[0], str) and _is_special(elements[0]):
        return [elements[0], _none(elements[1], FIELD, removed)]
    return [
        _object(one, key, removed) if isinstance(one, dict) else _value(key, one, within, removed) for one in elements
    ]


def _text(key: Key, text: str, within: Key | None, removed: Counter[str]) -> str | None:
    if text[:1] in ("{", "[") and text[-1:] in ("}", "]"):
        inner = _json_text(text, removed)
        if inner is not None:
            return inner
    cleaned = clean_text(text, numbers=not key.without_numbers, removed=removed)
    if key.is_searched:
        cleaned = clean_search(cleaned, removed)
    if key.name == "title" and within is not None and within.name == "document" and greets_somebody(cleaned):
        removed[TITLE] += 1
        return without_names(cleaned)
    if cleaned != text and key.is_identifier:
        return _none(text, IDENTIFIER, removed)  # else all visitors with an email address as id would share one id
    return cleaned


def _json_text(text: str, removed: Counter[str]) -> str | None:
    """JSON within a text, without personal data; None if nothing was removed or the text is not JSON."""
    try:
        document = _decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    stripped = _value(_NO_KEY, document, None, removed)
    return None if stripped == document else _encode(stripped).decode()


_NO_KEY = key_of("")


def redact_body(body: bytes) -> str:
    """A refused body without personal data, for inspection; text that is not JSON is reduced to its skeleton."""
    try:
        text = body.decode()
        if text.lstrip()[:1] not in ("{", "["):
            return skeleton(text)
        _decode(body)  # it may have been refused because it is not JSON
        return strip_json(body).decode()
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError):
        return skeleton(body.decode(errors="replace"))
