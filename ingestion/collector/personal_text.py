"""Removes personal data from texts: page URLs, referrers, titles, search terms.

Returns the text without email addresses, phone numbers, access tokens and values of personal URL parameters, or
unchanged if it has none. Decodes nested encodings one layer at a time.
"""

import base64
import binascii
import html
import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from ingestion.collector.personal_rules import REMEMBERED, RULES, any_of, is_personal_key, normalized

REMOVED = "[removed]"
SEARCH = "search"  # the kind of a URL parameter
MAX_LAYERS = 5  # of nested encodings; text that is still encoded after these is removed
MAX_REMEMBERED_CHARACTERS = 200

_PARAMETER = any_of(RULES["parameters"])
_SEARCH_PARAMETER = any_of(RULES["searches"]["parameters"])
# Ids, timestamps and plain words hold no personal data; checked first because most texts are of these kinds.
_ID = re.compile(
    r"(?:sh-)?[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|\d{1,20}|[0-9a-f]{16,40}"
    r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?|gid://shopify/[A-Za-z]{1,30}/\d{1,20}"
)
_WORDS = re.compile(r"[A-Za-z_ .,:-]{0,15}")
_DIGITS = re.compile(r"\d(?:\D{0,3}\d){6}")
_ENCODED = re.compile(
    r"%[0-9a-f]{2}|&(?:#\d{2,7}|#x[0-9a-f]{2,6}|[a-z]{2,8});|[\\%](?:u00|x)[0-9a-f]{2}", re.IGNORECASE
)
_ENTITY = re.compile(r"&(?:#\d{2,7}|#x[0-9a-f]{2,6}|commat|period|plus|num|equals|quest|amp|sol|colon);", re.IGNORECASE)
_ESCAPE = re.compile(r"(?:\\u00|\\x|%u00)([0-9a-f]{2})", re.IGNORECASE)
_SEPARATOR = re.compile(r"([?&#;])")
_BRACKETS = re.compile(r"[\[\].]+")
_SPELLED_AT = re.compile(r" ?[(\[{] ?at ?[)\]}] ?", re.IGNORECASE)
_SPELLED_DOT = re.compile(r" ?[(\[{] ?dot ?[)\]}] ?", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+_-]{12,}={0,2}")  # base64 of an email address has no slash
_E_MAIL_BYTES = re.compile(rb"[\w.+-]{1,64}@[A-Za-z0-9][A-Za-z0-9-]*(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}")
_BRACKETED = re.compile(r"[(\[{] ?at ?[)\]}]", re.IGNORECASE)
_FIELD = re.compile(r"""((["'])([\w .\[\]-]{1,64})\2\s*:\s*)("(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|-?\d[\d.]*)""")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
_GREETING = re.compile(RULES["titles"]["find"], re.IGNORECASE)
_SAFE_IN_ADDRESS = "/:[]@!$'()*,+-._~"


class _Rule(NamedTuple):
    name: str
    needs: str
    digits: bool
    find: re.Pattern[str]
    put: str


def _rules(texts: list[dict[str, Any]]) -> list[_Rule]:
    return [
        _Rule(
            rule["rule"],
            rule.get("needs", ""),
            rule.get("digits", False),
            re.compile(rule["find"], re.IGNORECASE),
            rule["put"],
        )
        for rule in texts
    ]


_TEXTS = _rules(RULES["texts"])
_SEARCHED_TEXTS = _rules(RULES["searches"]["texts"])
PARAMETER, JSON_FIELD, BASE64, ENCODINGS = "url_parameter", "json_in_text", "email_in_base64", "too_many_encodings"
TEXT_RULES = (*(rule.name for rule in (*_TEXTS, *_SEARCHED_TEXTS)), PARAMETER, JSON_FIELD, BASE64, ENCODINGS)


def clean_text(text: str, numbers: bool = True, removed: Counter[str] | None = None) -> str:
    """The text without personal data; the same object if it has none.

    Args:
        numbers: whether to remove phone numbers and IP addresses (in a user agent, these are versions).
        removed: counts what was removed, by rule (TEXT_RULES).
    """
    if _WORDS.fullmatch(text) or is_id(text):
        return text
    cleaned, rules = (_cleaned if len(text) > MAX_REMEMBERED_CHARACTERS else _remembered)(text, numbers)
    if removed is not None and rules:
        removed.update(rules)
    return cleaned


def clean_search(text: str, removed: Counter[str]) -> str:
    """What a shopper typed into a search box, without bare phone, card and account numbers."""
    found: list[str] = []
    cleaned = _replace(text, _SEARCHED_TEXTS, found)
    removed.update(found)
    return cleaned


def holds_bare_number(text: str) -> bool:
    """Whether a text has a number that `clean_search` removes. Shopify's ids, of 13 or 14 digits, match no rule."""
    if len(text) in (13, 14) and text.isdigit():
        return False
    return any(rule.find.search(text) is not None for rule in _SEARCHED_TEXTS)


def _cleaned(text: str, numbers: bool) -> tuple[str, tuple[str, ...]]:
    """The text without personal data, and the rule of each removal."""
    found: list[str] = []
    return _clean(text, numbers, 0, found), tuple(found)


_remembered = lru_cache(REMEMBERED)(_cleaned)


def is_id(text: str) -> bool:
    """Whether a text has the form of an id or a timestamp."""
    return _ID.fullmatch(text) is not None


def greets_somebody(title: str) -> bool:
    """Whether a page title contains a person's name."""
    return ("," in title or "ack" in title) and _GREETING.search(title) is not None


def without_names(title: str) -> str:
    """A page title without the name of the person it greets."""
    return _GREETING.sub(rf"\1{RULES['titles']['put']}", title)


def _clean(text: str, numbers: bool, layer: int, found: list[str]) -> str:
    """The cleaned text; adds the rule of each removal to `found`."""
    if layer > MAX_LAYERS:
        if _ENCODED.search(text) is None:
            return text
        found.append(ENCODINGS)
        return REMOVED
    for view in _VIEWS:
        seen = view(text)
        if seen is not text and seen != text:
            cleaned = _clean(seen, numbers, layer + 1, found)
            if cleaned != seen:
                return cleaned
    if "=" not in text:
        return _clean_piece(text, numbers, layer, found)
    pieces = _SEPARATOR.split(text)
    for index in range(0, len(pieces), 2):
        pieces[index] = _clean_parameter(pieces[index], numbers, layer, found)
    cleaned = "".join(pieces)
    return text if cleaned == text else cleaned


def _clean_parameter(piece: str, numbers: bool, layer: int, found: list[str]) -> str:
    name, equals, value = piece.partition("=")
    if not equals:
        return _clean_piece(piece, numbers, layer, found)
    kind = _parameter_kind(name[-200:]) if value else None
    name = _clean_piece(name, numbers, layer, found)
    if kind == PARAMETER:
        if value != REMOVED:  # else an earlier pass has removed it
            found.append(PARAMETER)
        return f"{name}={REMOVED}"
    if kind == SEARCH:
        typed = unquote(value.replace("+", " "))
        cleaned = _replace(typed, _SEARCHED_TEXTS, found)
        value = value if cleaned == typed else quote(cleaned, safe=_SAFE_IN_ADDRESS)
    return f"{name}={_clean_piece(value, numbers, layer, found)}"


@lru_cache(4096)
def _parameter_kind(name: str) -> str | None:
    """Whether the URL parameter of this name holds personal data (`email`, `checkout%5Bemail%5D`) or a search."""
    for _ in range(MAX_LAYERS):
        name = unquote(name)
    parts = [part for part in (*_BRACKETS.split(name), name) if part]
    if any(is_personal_key(part) or _PARAMETER.fullmatch(normalized(part)) for part in parts):
        return PARAMETER
    return SEARCH if any(_SEARCH_PARAMETER.fullmatch(normalized(part)) for part in parts) else None


def _clean_piece(piece: str, numbers: bool, layer: int, found: list[str]) -> str:
    """Apply the rules to a piece without separators, then to its decoded form."""
    cleaned = _apply(piece, numbers, found)
    if "%" in cleaned:
        decoded = unquote(cleaned)
        if decoded != cleaned:
            clean = _clean(decoded, numbers, layer + 1, found)
            if clean != decoded:
                return quote(clean, safe=_SAFE_IN_ADDRESS)
    if "+" in cleaned and numbers:  # a space, in forms
        spaced = unquote(cleaned.replace("+", " "))
        clean = _apply(spaced, numbers, found)
        if clean != spaced:
            return (quote(clean, safe=_SAFE_IN_ADDRESS + " ") if "%" in cleaned else clean).replace(" ", "+")
    return cleaned


def _apply(text: str, numbers: bool, found: list[str]) -> str:
    if ":" in text and ('"' in text or "'" in text):
        text = _FIELD.sub(partial(_unless_it_is_personal, found), text)
    has_digits = numbers and _DIGITS.search(text) is not None
    text = _replace(text, _TEXTS, found, has_digits)
    return _BASE64.sub(partial(_unless_it_hides_an_address, found), text) if len(text) > 15 else text


def _replace(text: str, rules: list[_Rule], found: list[str], has_digits: bool = True) -> str:
    for name, needs, digits, find, put in rules:
        if (not digits or has_digits) and needs in text:
            text, count = find.subn(lambda match, put=put: match[1] + put, text)
            if count:
                found += [name] * count
    return text


def _unless_it_is_personal(found: list[str], field: re.Match[str]) -> str:
    """A JSON or JSON-like field within a text, with a null value if its key is personal."""
    if not is_personal_key(field[3]):
        return field[0]
    found.append(JSON_FIELD)
    return f"{field[1]}null"


def _unless_it_hides_an_address(found: list[str], match: re.Match[str]) -> str:
    text = match[0].rstrip("=").replace("-", "+").replace("_", "/")
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return match[0]
    if b"@" not in decoded or _E_MAIL_BYTES.search(decoded) is None:
        return match[0]
    found.append(BASE64)
    return "[e-mail]"


def _without_entities(text: str) -> str:
    return _ENTITY.sub(lambda found: html.unescape(found[0]), text) if "&" in text and ";" in text else text


def _without_escapes(text: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text) if "\\" in text or "%u" in text else text


def _without_odd_letters(text: str) -> str:
    """Full-width letters as ordinary ones, without invisible characters between them."""
    return text if text.isascii() else _INVISIBLE.sub("", unicodedata.normalize("NFKC", text).replace("。", "."))


def _without_spelling(text: str) -> str:
    """`ada (at) example (dot) com` and `ada @ example.com` as plain addresses."""
    text = text.replace(" @ ", "@")
    return (
        _SPELLED_DOT.sub(".", _SPELLED_AT.sub("@", text)) if "at" in text.lower() and _BRACKETED.search(text) else text
    )


_VIEWS: tuple[Callable[[str], str], ...] = (
    _without_entities,
    _without_escapes,
    _without_odd_letters,
    _without_spelling,
)
