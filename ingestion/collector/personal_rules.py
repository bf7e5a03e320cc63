"""The compiled rules of ingestion/personal_data.json: which keys are personal, and what a key alone reveals.

Reads the rules once; caches the classification of keys in bounded memory.
"""

import json
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

RULES_FILE = Path(__file__).resolve().parents[1] / "personal_data.json"
RULES: dict[str, Any] = json.loads(RULES_FILE.read_text(encoding="utf-8"))
MAX_KEY = 80  # letters and digits; longer strings are text, not keys
REMEMBERED = 8192


def any_of(*alternatives: Iterable[str]) -> re.Pattern[str]:
    """A pattern for whole normalized keys."""
    return re.compile("|".join(f"(?:{one})" for some in alternatives for one in some))


def _group(*alternatives: list[str]) -> str:
    return "(?:" + "|".join(one for some in alternatives for one in some) + ")"


_WHOSE = _group(RULES["qualifiers"], RULES["persons"]) + "*"
_PERSON = _group(RULES["persons"])
_SUFFIXES = _group(RULES["suffixes"]) + "*"
_PERSONAL = any_of(
    [_WHOSE + _group(RULES["keys"]) + _SUFFIXES, _WHOSE + _PERSON + _group(RULES["keys_of_persons"]) + _SUFFIXES]
)
_OBJECTS = RULES["objects"]
_ADDRESS = any_of([_WHOSE + _group(_OBJECTS["addresses"])], _OBJECTS["destinations"])
_PERSON_OBJECT = any_of([_WHOSE + _PERSON], _OBJECTS["containers"])
_PAIRS = any_of(_OBJECTS["pairs"])
_ALERT = any_of(_OBJECTS["alerts"])
_IDENTIFIER = any_of(RULES["identifiers"])
_WITHOUT_NUMBERS = any_of(RULES["without_numbers"])
_SEARCHED = any_of(RULES["searches"]["keys"])
_OF_ORDERS = any_of(_OBJECTS["of_orders"])

KEPT_WITHIN = {key: frozenset(parents) for key, parents in RULES["kept_within"].items()}
KEPT_OF_ADDRESSES = frozenset(_OBJECTS["kept_of_addresses"])
KEPT_OF_PERSONS = frozenset(_OBJECTS["kept_of_persons"])
KEPT_OF_ALERTS = frozenset(_OBJECTS["kept_of_alerts"])
BESIDE_PERSONAL = frozenset(_OBJECTS["beside_personal"])
PAIRS_OR_OBJECTS = frozenset(_OBJECTS["pairs_or_objects"])
PAIRS_HELD_BY = frozenset(_OBJECTS["pairs_held_by"])
FIELD_NAMES = frozenset(_OBJECTS["field_names"])
FIELD_VALUES = frozenset(_OBJECTS["field_values"])
KEPT_PAIRS: str = _OBJECTS["kept_pairs"]
ORDERS = frozenset(_OBJECTS["orders"])


class Key:
    """The classification of a key. name: normalized. is_neutral: its value is judged on its own."""

    def __init__(self, key: str) -> None:
        name = self.name = normalized(key)
        short = len(name) <= MAX_KEY
        self.is_personal = short and _PERSONAL.fullmatch(name) is not None
        self.is_address = short and _ADDRESS.fullmatch(name) is not None
        self.is_person = short and _PERSON_OBJECT.fullmatch(name) is not None
        self.is_pairs = _PAIRS.fullmatch(name) is not None
        self.is_alert = _ALERT.fullmatch(name) is not None
        self.is_identifier = _IDENTIFIER.fullmatch(name) is not None
        self.is_of_orders = _OF_ORDERS.fullmatch(name) is not None
        self.without_numbers = _WITHOUT_NUMBERS.fullmatch(name) is not None
        self.is_searched = _SEARCHED.fullmatch(name) is not None
        self.kept_within = KEPT_WITHIN.get(name)
        special = self.is_personal or self.is_address or self.is_person or self.is_pairs or self.is_alert
        self.is_neutral = not (special or self.is_of_orders or self.kept_within is not None)


def normalized(key: str) -> str:
    """The key in lower case, letters and digits only."""
    if not key.isascii():
        key = unicodedata.normalize("NFKD", key.replace("ß", "ss"))
    return re.sub(r"[^a-z0-9]+", "", key.lower())


def key_of(key: str) -> Key:
    """The classification of a key."""
    return _remembered_key(key) if len(key) <= MAX_KEY else Key(key)


_remembered_key = lru_cache(REMEMBERED)(Key)


def is_personal_key(key: str) -> bool:
    """Whether any value of this key is personal data."""
    known = key_of(key)
    return known.is_personal or known.kept_within is not None
