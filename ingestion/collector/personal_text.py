"""Removes personal data from texts: page URLs, referrers, titles, search terms.

Returns the text without email addresses, phone numbers, access tokens and values of personal URL parameters, or
unchanged if it has none. Decodes nested encodings one layer at a time.
"""

import base64
import binascii
import html
import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, unquote

from ingestion.collector.personal_rules import REMEMBERED, RULES, any_of, is_personal_key, normalized

REMOVED = "[removed]"
MAX_LAYERS = 5  # of nested encodings; text that is still encoded after these is removed
MAX_REMEMBERED_CHARACTERS = 200

_PARAMETER = any_of(RULES["parameters"])
# Ids, timestamps and plain words cannot hold personal data; checked first because most texts are these.
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
    needs: str
    digits: bool
    find: re.Pattern[str]
    put: str


_TEXTS = [
    _Rule(rule.get("needs", ""), rule.get("digits", False), re.compile(rule["find"], re.IGNORECASE), rule["put"])
    for rule in RULES["texts"]
]


def clean_text(text: str, numbers: bool = True) -> str:
    """The text without personal data; the same object if it has none.

    numbers: whether to remove phone numbers and IP addresses (in a user agent, these are versions).
    """
    if _WORDS.fullmatch(text) or is_id(text):
        return text
    return _clean(text, numbers, 0) if len(text) > MAX_REMEMBERED_CHARACTERS else _clean_short(text, numbers)


@lru_cache(REMEMBERED)
def _clean_short(text: str, numbers: bool) -> str:
    return _clean(text, numbers, 0)


def is_id(text: str) -> bool:
    """Whether a text has the form of an id or a timestamp."""
    return _ID.fullmatch(text) is not None


def greets_somebody(title: str) -> bool:
    """Whether a page title contains a person's name."""
    return ("," in title or "ack" in title) and _GREETING.search(title) is not None


def without_names(title: str) -> str:
    """A page title without the name of the person it greets."""
    return _GREETING.sub(rf"\1{RULES['titles']['put']}", title)


def _clean(text: str, numbers: bool, layer: int) -> str:
    if layer > MAX_LAYERS:
        return REMOVED if _ENCODED.search(text) else text
    for view in _VIEWS:
        seen = view(text)
        if seen is not text and seen != text:
            cleaned = _clean(seen, numbers, layer + 1)
            if cleaned != seen:
                return cleaned
    if "=" not in text:
        return _clean_piece(text, numbers, layer)
    pieces = _SEPARATOR.split(text)
    for index in range(0, len(pieces), 2):
        pieces[index] = _clean_parameter(pieces[index], numbers, layer)
    cleaned = "".join(pieces)
    return text if cleaned == text else cleaned


def _clean_parameter(piece: str, numbers: bool, layer: int) -> str:
    name, equals, value = piece.partition("=")
    if equals and value and _is_parameter(name[-200:]):
        return f"{_clean_piece(name, numbers, layer)}={REMOVED}"
    if not equals:
        return _clean_piece(piece, numbers, layer)
    return f"{_clean_piece(name, numbers, layer)}={_clean_piece(value, numbers, layer)}"


@lru_cache(4096)
def _is_parameter(name: str) -> bool:
    """Whether the URL parameter of this name holds personal data: `email`, `checkout%5Bemail%5D`."""
    for _ in range(MAX_LAYERS):
        name = unquote(name)
    parts = [part for part in (*_BRACKETS.split(name), name) if part]
    return any(is_personal_key(part) or _PARAMETER.fullmatch(normalized(part)) for part in parts)


def _clean_piece(piece: str, numbers: bool, layer: int) -> str:
    """A piece without separators: apply the rules, then again to its decoded form."""
    cleaned = _apply(piece, numbers)
    if "%" in cleaned:
        decoded = unquote(cleaned)
        if decoded != cleaned:
            clean = _clean(decoded, numbers, layer + 1)
            if clean != decoded:
                return quote(clean, safe=_SAFE_IN_ADDRESS)
    if "+" in cleaned and numbers:
        spaced = cleaned.replace("+", " ")
        if _apply(spaced, numbers) != spaced:
            return _apply(spaced, numbers).replace(" ", "+")
    return cleaned


def _apply(text: str, numbers: bool) -> str:
    if ":" in text and ('"' in text or "'" in text):
        text = _FIELD.sub(_unless_it_is_personal, text)
    has_digits = numbers and _DIGITS.search(text) is not None
    for needs, digits, find, put in _TEXTS:
        if (not digits or has_digits) and needs in text:
            text = find.sub(lambda found, put=put: found[1] + put, text)
    return _BASE64.sub(_unless_it_hides_an_address, text) if len(text) > 15 else text


def _unless_it_is_personal(field: re.Match[str]) -> str:
    """A field of JSON or JSON-like text in the middle of a text."""
    return f"{field[1]}null" if is_personal_key(field[3]) else field[0]


def _unless_it_hides_an_address(found: re.Match[str]) -> str:
    text = found[0].rstrip("=").replace("-", "+").replace("_", "/")
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return found[0]
    hides = b"@" in decoded and _E_MAIL_BYTES.search(decoded) is not None
    return "[e-mail]" if hides else found[0]


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
