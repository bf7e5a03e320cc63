"""Chart annotations: what happened in a shop and when, from annotations.toml beside shops.toml.

Reads the file, returns annotations; an error is one sentence.
"""

import tomllib
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from serving.analytics.periods import Period
from serving.errors import ServingError

FILE = "annotations.toml"
_FIELDS = {"shop", "date", "until", "text"}


class AnnotationsFileError(ServingError):
    """annotations.toml cannot be used; the message names the entry and the remedy."""


@dataclass(frozen=True)
class Annotation:
    """What happened on one date, or on every date from `first` to `last`. shop: None for every shop."""

    shop: str | None
    first: date
    last: date
    text: str


def load_annotations(path: Path) -> list[Annotation]:
    """All annotations by date; none if the file is missing.

    Raises:
        AnnotationsFileError: the file is malformed.
    """
    try:
        document = tomllib.loads(path.read_text())
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise AnnotationsFileError(f"{path} cannot be read ({error}): correct it.") from error
    entries = document.get("annotations", [])
    if set(document) - {"annotations"} or not isinstance(entries, list):
        raise AnnotationsFileError(f"{path}: write each annotation below its own [[annotations]].")
    found = [_annotation(path, number, entry) for number, entry in enumerate(entries, start=1)]
    return sorted(found, key=lambda one: (one.first, one.text))


def annotations_of(annotations: list[Annotation], shop: str, period: Period) -> list[Annotation]:
    """A shop's annotations that overlap the period."""
    return [
        one for one in annotations if one.shop in (None, shop) and one.first <= period.last and one.last >= period.first
    ]


def _annotation(path: Path, number: int, entry: Any) -> Annotation:
    whose = f"{path}: annotation {number}"
    if not isinstance(entry, dict) or set(entry) - _FIELDS:
        raise AnnotationsFileError(f"{whose} has unknown fields: use {', '.join(sorted(_FIELDS))}.")
    first, last = entry.get("date"), entry.get("until", entry.get("date"))
    for day in (first, last):
        if not isinstance(day, date) or isinstance(day, datetime):
            raise AnnotationsFileError(f"{whose}: write date and until as 2026-11-27, without quotes.")
    if last < first:
        raise AnnotationsFileError(f"{whose} ends before it starts: swap date and until.")
    if not isinstance(entry.get("text"), str) or not entry["text"].strip():
        raise AnnotationsFileError(f"{whose} has no text: say what happened.")
    shop = entry.get("shop")
    if shop is not None and not isinstance(shop, str):
        raise AnnotationsFileError(f"{whose}: shop is the domain of a shop, in quotes.")
    return Annotation(shop and shop.lower(), first, last, entry["text"].strip())
