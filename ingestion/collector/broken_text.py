"""Redacts text that should have been JSON but is not, keeping only its skeleton.

Keeps a refused body's punctuation, keys, event names and short numbers and redacts every other value, because in broken
text it is unclear which key a value belongs to.
"""

import re

from ingestion.collector.personal_rules import key_of
from ingestion.collector.personal_text import clean_text, is_id

BLOT = "…"

_TOKEN = re.compile(
    r"""(?P<quoted>"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?)|(?P<word>[^\W\d][\w$.-]*)|(?P<number>-?\d[\w.+-]*)"""
    r"""|(?P<space>\s+)|(?P<sign>[{}\[\]:,=&?])|(?P<other>[^\s\w{}\[\]:,=&?"']+)""",
    re.DOTALL,
)
_LITERALS = frozenset({"true", "false", "null", "NaN", "Infinity", "undefined"})
_KEY = re.compile(r"[\w .:\[\]-]{1,60}")
_EVENT_NAME = re.compile(r"[a-z]+[_:][a-z_:]+")
_LONGEST_NUMBER = 6


def skeleton(text: str) -> str:
    """The text with everything that may be personal redacted."""
    shown, key = [], ""
    for found in _TOKEN.finditer(text):
        token = found[0]
        names = text[found.end() : found.end() + 8].lstrip()[:1] in (":", "=")
        if found.lastgroup in ("quoted", "word"):
            content = token.strip("\"'")
            if names:
                key = content
            shown.append(token if _may_be_shown(found.lastgroup, content, key, names) else _blotted(token))
        elif found.lastgroup == "number":
            shown.append(token if len(token) <= _LONGEST_NUMBER and key_of(key).is_neutral else BLOT)
        else:
            shown.append(token if found.lastgroup != "other" else BLOT)
    return "".join(shown)


def _may_be_shown(kind: str, content: str, key: str, names: bool) -> bool:
    if names:
        return _KEY.fullmatch(content) is not None and clean_text(content) == content
    if kind == "word":
        return content in _LITERALS
    known = key_of(key).name
    return (known == "name" and _EVENT_NAME.fullmatch(content) is not None) or (
        known in ("id", "clientid", "timestamp") and is_id(content)
    )


def _blotted(token: str) -> str:
    return f'"{BLOT}"' if token[0] in "\"'" else BLOT
