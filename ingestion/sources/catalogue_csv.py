"""Product CSVs as Shopify's admin exports them, in both header dialects.

Reads the text of a file; returns the rows of its products and variants.
"""

import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingestion.sources.catalogue_rows import (
    Catalogue,
    CatalogueError,
    amount_text,
    handle_name,
    is_published,
    tag_list,
)

# Field ▶ its header in the old and in the new dialect. Other columns are ignored.
CSV_HEADERS = {
    "handle": ("handle", "url handle"),
    "title": ("title",),
    "description_html": ("body (html)", "description"),
    "vendor": ("vendor",),
    "product_type": ("type",),
    "tags": ("tags",),
    "published": ("published", "published on online store"),
    "status": ("status",),
    "gift_card": ("gift card",),
    "image_url": ("image src", "product image url"),
    "image_position": ("image position",),
    "option1": ("option1 value",),
    "option2": ("option2 value",),
    "option3": ("option3 value",),
    "sku": ("variant sku", "sku"),
    "price": ("variant price", "price"),
    "compare_at_price": ("variant compare at price", "compare-at price"),
    "tracker": ("variant inventory tracker", "inventory tracker"),
    "quantity": ("variant inventory qty", "inventory quantity"),
    "policy": ("variant inventory policy", "continue selling when out of stock"),
    "variant_image_url": ("variant image", "variant image url"),
}
_NAME_BY_HEADER = {header: name for name, headers in CSV_HEADERS.items() for header in headers}
_OPTIONS = ("option1", "option2", "option3")
_FLAGS = {"true": True, "false": False}
_POLICIES = {"deny": "DENY", "continue": "CONTINUE", "false": "DENY", "true": "CONTINUE"}
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,18}")  # what fits into a bigint
_EXPORT = "export the products from Shopify's admin as CSV"


def read_csv(path: Path, text: str) -> Catalogue:
    """The products and variants of a product CSV, in the file's order.

    Raises:
        CatalogueError: the text is not such a CSV, or has a value that cannot be stored.
    """
    rows_by_handle: dict[str, list[_Row]] = {}
    for row in _csv_rows(path, text):
        handle = row.text("handle")
        if handle is None:
            raise CatalogueError(f"{row.where} has no handle: fill it in on every line of a product.")
        rows_by_handle.setdefault(handle_name(handle), []).append(row)
    if not rows_by_handle:
        raise CatalogueError(f"{path} has no rows below its header: {_EXPORT}.")
    variants = [
        _csv_variant(handle, position, row)
        for handle, rows in rows_by_handle.items()
        for position, row in enumerate(filter(_Row.is_variant, rows), start=1)
    ]
    return Catalogue(
        [_csv_product(handle, rows) for handle, rows in rows_by_handle.items()],
        variants,
        warning=_unknown_stock(path, variants),
    )


def _unknown_stock(path: Path, variants: list[dict[str, Any]]) -> str | None:
    unknown = sum(variant["is_available"] is None for variant in variants)
    if not unknown:
        return None
    return (
        f"{path.name} has no inventory quantity for {unknown:,} of its {len(variants):,} variants; they count as "
        "in stock. Shopify leaves the column out where a store has several locations: connect the Admin API, or add "
        "the column Inventory quantity (Variant Inventory Qty)."
    )


@dataclass(frozen=True)
class _Row:
    """A line of a product CSV. A blank cell is ""; a missing column has no cell."""

    where: str
    cells: dict[str | None, str]

    def text(self, name: str) -> str | None:
        return self.cells.get(name) or None

    def options(self) -> list[str]:
        return [value for name in _OPTIONS if (value := self.text(name))]

    def is_variant(self) -> bool:
        """False for a row that only adds an image."""
        return bool(self.options() or self.text("price") or self.text("sku"))

    def choice(self, name: str, choices: dict[str, Any]) -> Any:
        value = self.text(name)
        if value is None:
            return None
        if value.lower() not in choices:
            raise CatalogueError(f"{self.where}: {name} is {value!r}: write one of {', '.join(choices)}.")
        return choices[value.lower()]

    def whole_number(self, name: str) -> int | None:
        value = self.text(name)
        if value is not None and not _WHOLE_NUMBER.fullmatch(value):
            raise CatalogueError(f"{self.where}: {name} is {value!r}: write a whole number, or leave it blank.")
        return None if value is None else int(value)


def _csv_rows(path: Path, text: str) -> Iterator[_Row]:
    lines = _csv_lines(path, text)
    _, header = next(lines, (1, []))
    names = [_NAME_BY_HEADER.get(cell.strip().lower()) for cell in header]
    if "handle" not in names or "title" not in names:
        raise CatalogueError(
            f"{path} has no header with Title and Handle (or URL handle), separated by commas: {_EXPORT}."
        )
    for number, cells in lines:
        values = [cell.strip() for cell in cells]
        if any(values[len(names) :]):
            raise CatalogueError(
                f"{path}, line {number} has more cells than the header: put quotes around text that has commas."
            )
        values += [""] * (len(names) - len(values))  # spreadsheets omit trailing blank cells
        if any(values):
            # Reversed, so that the first of two columns for one field wins.
            cells_by_name = dict(zip(reversed(names), reversed(values[: len(names)]), strict=True))
            yield _Row(f"{path}, line {number}", cells_by_name)


def _csv_lines(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """The records of a CSV, each with the number of its first line."""
    # strict: an unclosed quote would otherwise turn the rest of the file into one cell.
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    records = []
    with _cells_of_any_length(text):
        try:
            first_line = 1
            for cells in reader:
                records.append((first_line, cells))
                first_line = reader.line_num + 1
        except csv.Error as error:
            raise CatalogueError(f"{path}, line {first_line} is not CSV ({error}): {_EXPORT}.") from error
    yield from records


@contextmanager
def _cells_of_any_length(text: str) -> Iterator[None]:
    """A description may exceed the csv module's process-wide limit of 128 KiB."""
    limit = csv.field_size_limit()
    csv.field_size_limit(max(limit, len(text)))
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _csv_product(handle: str, rows: list[_Row]) -> dict[str, Any]:
    # A product's cells are on one of its lines: the first, unless the file was sorted.
    def first(name: str) -> _Row:
        return next((row for row in rows if row.text(name)), rows[0])

    status = first("status").text("status")
    return {
        "handle": handle,
        "product_id": None,
        **{name: first(name).text(name) for name in ("title", "description_html", "vendor", "product_type")},
        "tags": tag_list(first("tags").text("tags") or ""),
        "status": status and status.upper(),
        "is_published": is_published(first("published").choice("published", _FLAGS), status),
        "is_gift_card": first("gift_card").choice("gift_card", _FLAGS),
        "image_url": _first_image(rows),
        "created_at": None,
        "updated_at": None,
        "published_at": None,
    }


def _csv_variant(handle: str, position: int, row: _Row) -> dict[str, Any]:
    policy = row.choice("policy", _POLICIES)
    quantity = row.whole_number("quantity")
    return {
        "handle": handle,
        "product_id": None,
        "variant_id": None,
        "position": position,
        "title": " / ".join(row.options()) or "Default Title",
        "sku": row.text("sku"),
        "price": amount_text(row.where, "price", row.text("price")),
        "compare_at_price": amount_text(row.where, "compare_at_price", row.text("compare_at_price")),
        "is_available": _is_available(row, policy, quantity),
        "inventory_quantity": quantity,
        "inventory_policy": policy,
        "image_url": row.text("variant_image_url"),
    }


def _is_available(row: _Row, policy: str | None, quantity: int | None) -> bool | None:
    """Whether it can be bought; None if unknown. Untracked variants are always in stock."""
    if row.cells.get("tracker") == "" or policy == "CONTINUE":
        return True
    return None if quantity is None else quantity > 0


def _first_image(rows: list[_Row]) -> str | None:
    images = [(row.whole_number("image_position"), row.text("image_url")) for row in rows if row.text("image_url")]
    images.sort(key=lambda image: (image[0] is None, image[0] or 0))
    return images[0][1] if images else None
