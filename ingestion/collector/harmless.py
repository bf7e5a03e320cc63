"""Recognizes documents without personal data by their bytes, so that most events need not be decoded.

Reads JSON; remembers, in bounded memory, the strings and parts of documents found harmless so far.
"""

from itertools import filterfalse

from ingestion.collector.personal_rules import key_of
from ingestion.collector.personal_text import clean_text, greets_somebody, holds_bare_number, is_id

MAX_REMEMBERED = 20_000  # strings, of at most MAX_REMEMBERED_BYTES each
MAX_REMEMBERED_BYTES = 200
MAX_REMEMBERED_PARTS = 8_000  # of at most MAX_REMEMBERED_PART_BYTES each
MAX_REMEMBERED_PART_BYTES = 800

_harmless: set[bytes] = set()
_harmless_parts: set[bytes] = set()


def is_harmless(text: bytes) -> bool:
    """Whether no string in a document can be personal data or its key; such a document need not be decoded.

    The text is checked part by part, from brace to brace: most parts of an event (the page, the browser, the product)
    occurred in earlier events and are cached.
    """
    if b"\\" in text:  # an escaped string may differ from its bytes or contain quotes
        return False
    parts = text.split(b"{")
    for part in filterfalse(_harmless_parts.__contains__, parts):
        if part.count(b'"') % 2:  # it ends within a string, which contains the brace
            return _has_only_harmless_strings(text)
        if not _has_only_harmless_strings(part):
            return False
        if part not in parts[:2]:  # an event begins with its id and time: not worth caching
            _remember(part, _harmless_parts, MAX_REMEMBERED_PARTS, MAX_REMEMBERED_PART_BYTES)
    return True


def _has_only_harmless_strings(part: bytes) -> bool:
    for string in filterfalse(_harmless.__contains__, part.split(b'"')[1::2]):
        content = string.decode()
        if is_id(content):  # different in each event: not worth caching
            if content.isalnum() and holds_bare_number(content):
                return False
            continue
        if not _is_neutral(content):
            return False
        _remember(string, _harmless, MAX_REMEMBERED, MAX_REMEMBERED_BYTES)
    return True


def _remember(found: bytes, cache: set[bytes], max_size: int, max_bytes: int) -> None:
    if len(found) <= max_bytes:
        if len(cache) >= max_size:
            cache.clear()
        cache.add(found)


def _is_neutral(text: str) -> bool:
    if not key_of(text).is_neutral or clean_text(text) != text:
        return False
    return not greets_somebody(text) and not holds_bare_number(text)
