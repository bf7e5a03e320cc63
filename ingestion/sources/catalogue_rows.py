"""Rows of a catalogue, from any kind of file.

Defines the tables' columns, the parsed `Catalogue`, and the format of handles, tags and amounts.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import msgspec

from ingestion.errors import IngestionError

PRODUCT_COLUMNS = {
    "shop": {"data_type": "text", "nullable": False},
    "handle": {"data_type": "text", "nullable": False},
    "product_id": {"data_type": "text"},
    "title": {"data_type": "text"},
    "description_html": {"data_type": "text"},
    "vendor": {"data_type": "text"},
    "product_type": {"data_type": "text"},
    "tags": {"data_type": "text"},
    "status": {"data_type": "text"},
    "is_published": {"data_type": "bool"},
    "is_gift_card": {"data_type": "bool"},
    "image_url": {"data_type": "text"},
    "created_at": {"data_type": "timestamp"},
    "updated_at": {"data_type": "timestamp"},
    "published_at": {"data_type": "timestamp"},
    "fetched_at": {"data_type": "timestamp", "nullable": False},
    "file": {"data_type": "text", "nullable": False},
}
VARIANT_COLUMNS = {
    "shop": {"data_type": "text", "nullable": False},
    "handle": {"data_type": "text", "nullable": False},
    "product_id": {"data_type": "text"},
    "variant_id": {"data_type": "text"},
    "position": {"data_type": "bigint", "nullable": False},
    "title": {"data_type": "text"},
    "sku": {"data_type": "text"},
    "price": {"data_type": "text"},
    "compare_at_price": {"data_type": "text"},
    "is_available": {"data_type": "bool"},
    "inventory_quantity": {"data_type": "bigint"},
    "inventory_policy": {"data_type": "text"},
    "image_url": {"data_type": "text"},
    "fetched_at": {"data_type": "timestamp", "nullable": False},
    "file": {"data_type": "text", "nullable": False},
}
READING_COLUMNS = {
    "shop": {"data_type": "text"},
    "file": {"data_type": "text"},
    "fetched_at": {"data_type": "timestamp"},
    "rows": {"data_type": "bigint"},
    "is_complete": {"data_type": "bool"},
    "warning": {"data_type": "text"},
    "error": {"data_type": "text"},
}

_AMOUNT = re.compile(r"[0-9]+(\.[0-9]+)?")


class CatalogueError(IngestionError):
    """The catalogue file cannot be used; the message names the file, the line if known, and the remedy."""


@dataclass(frozen=True)
class Catalogue:
    """The contents of a file, or of all files of a shop: rows of both tables without shop, fetched_at and file.

    Money is the file's own text. is_complete: no further page may follow. warning: assumptions made while reading.
    """

    products: list[dict[str, Any]]
    variants: list[dict[str, Any]]
    is_complete: bool = True
    warning: str | None = None


def handle_name(handle: str) -> str:
    """The canonical spelling of a handle; dbt's macro of the same name does the same."""
    try:
        decoded = unquote(handle, errors="strict")
    except UnicodeDecodeError:
        decoded = handle
    return unicodedata.normalize("NFC", decoded).strip().lower()


def is_published(published: bool | None, status: str | None) -> bool | None:
    """Whether shoppers can find it: published to the online store, and not draft, archived or unlisted."""
    return published if status is None or status.upper() == "ACTIVE" else False


def tag_list(tags: str | list[str]) -> str:
    """Tags, from a list or a comma-separated text, as a JSON list."""
    listed = tags.split(",") if isinstance(tags, str) else tags
    return msgspec.json.encode([tag.strip() for tag in listed if tag.strip()]).decode()


def amount_text(where: str, name: str, amount: Any) -> str | None:
    """Money as in the file, checked to be a decimal."""
    text = "" if amount is None else str(amount).strip()
    if text and not _AMOUNT.fullmatch(text):
        raise CatalogueError(
            f"{where}: {name} is {text!r}, which is not a decimal: write it like 1050000 or 69.99, without separators."
        )
    return text or None
