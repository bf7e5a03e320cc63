"""dlt source `catalogue`: a shop's catalogue from a file, for shops without an Admin API token.

Product CSVs (both of Shopify's header dialects) and saved storefront /products.json flow in; the tables products and
variants flow out, one row per product or variant and reading: a log of what the catalogue was when it was read.
"""

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import dlt
import msgspec
from dlt.extract import DltResource

from ingestion.shops import Shop
from ingestion.sources import SCHEMA_CONTRACT
from ingestion.sources.shopify_api import admin_apis

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
    "error": {"data_type": "text"},
}

# What a cell is ▶ its header in the old and in the new dialect. Every other column is left in the file.
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
_AMOUNT = re.compile(r"[0-9]+(\.[0-9]+)?")
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,18}")  # what fits into a bigint
_EXPORT = "export the products from Shopify's admin as CSV"
_SAVE = "save the page /products.json?limit=250 of the shop again"


class CatalogueError(Exception):
    """The catalogue file cannot be used; the message names the file, the line if known, and the remedy."""


@dataclass(frozen=True)
class CatalogueFile:
    """The file that holds the whole catalogue of a shop; a shop has one."""

    shop: str
    path: Path


def catalogue_files(shops: Sequence[Shop], folder: Path) -> list[CatalogueFile]:
    """The files of those shops that name one and have no token for the Admin API.

    Args:
        folder: what relative names are relative to: that of shops.toml.
    """
    with_token = {api.shop for api in admin_apis(shops)}
    wanted = [shop for shop in shops if shop.catalogue and shop.domain not in with_token]
    return [CatalogueFile(shop.domain, folder / shop.catalogue) for shop in wanted]


@dataclass(frozen=True)
class Catalogue:
    """What a file says: rows of both tables without shop, fetched_at and file. Money is the file's own text."""

    products: list[dict[str, Any]]
    variants: list[dict[str, Any]]


@dataclass(frozen=True)
class _Reading:
    """A file's contents at one moment, which all tables share; if it cannot be used it has no rows but an error."""

    source: CatalogueFile
    sha256: str
    fetched_at: datetime
    catalogue: Catalogue
    error: str | None = None

    def stamped(self, rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for row in rows:
            yield {
                "shop": self.source.shop,
                **row,
                "fetched_at": self.fetched_at,
                "file": self.source.path.name,
            }


@dlt.source(name="catalogue", schema_contract=SCHEMA_CONTRACT, max_table_nesting=0)
def catalogue_source(files: Sequence[CatalogueFile] = ()) -> tuple[DltResource, ...]:
    """Tables raw_catalogue.products and raw_catalogue.variants: readings are appended, none is ever changed.

    A file that is, byte for byte, what was last loaded of its shop adds nothing. raw_catalogue.readings has one row per
    file that was read; one that cannot be used stops no other, and its row has the error.
    """

    # One item, also without files: the tables are made by the transformers, which run once per item.
    @dlt.resource(name="changed_files", selected=False)
    def changed_files() -> Iterator[list[_Reading]]:
        yield [reading for file in files if (reading := _read_if_changed(file))]

    @dlt.transformer(name="products", data_from=changed_files, write_disposition="append", columns=PRODUCT_COLUMNS)
    def products(changed: list[_Reading]) -> Iterator[Any]:
        yield dlt.mark.materialize_table_schema()
        for reading in changed:
            yield list(reading.stamped(reading.catalogue.products))
            _remember(reading, "products")

    @dlt.transformer(name="variants", data_from=changed_files, write_disposition="append", columns=VARIANT_COLUMNS)
    def variants(changed: list[_Reading]) -> Iterator[Any]:
        yield dlt.mark.materialize_table_schema()
        for reading in changed:
            yield list(reading.stamped(reading.catalogue.variants))
            _remember(reading, "variants")

    @dlt.transformer(name="readings", data_from=changed_files, write_disposition="append", columns=READING_COLUMNS)
    def readings(changed: list[_Reading]) -> Iterator[Any]:
        yield dlt.mark.materialize_table_schema()
        yield [
            {
                "shop": reading.source.shop,
                "file": reading.source.path.name,
                "fetched_at": reading.fetched_at,
                "rows": len(reading.catalogue.products) + len(reading.catalogue.variants),
                "error": reading.error,
            }
            for reading in changed
        ]

    return changed_files, products, variants, readings


def read_catalogue(path: Path) -> Catalogue:
    """The products and variants of a product CSV or a saved /products.json, in the file's order.

    Raises:
        CatalogueError: the file is missing, is neither kind, is not UTF-8, or says something that cannot be kept.
    """
    return _parse(path, _contents(path))


def _loaded() -> dict[str, dict[str, str]]:
    """Shop ▶ table ▶ sha256 of the file that was loaded last; dlt drops what a failed extraction wrote to it."""
    return dlt.current.source_state().setdefault("loaded", {})


def _read_if_changed(file: CatalogueFile) -> _Reading | None:
    try:
        return _read_unless_loaded(file)
    except CatalogueError as error:
        _loaded().pop(file.shop, None)  # so that the file is read anew once it is mended, be it to what it was
        return _Reading(file, "", datetime.now(UTC), Catalogue([], []), str(error))


def _read_unless_loaded(file: CatalogueFile) -> _Reading | None:
    contents = _contents(file.path)
    sha256 = hashlib.sha256(contents).hexdigest()
    # Table by table: Dagster can load one without the other, which then must not count as loaded.
    if _loaded().get(file.shop) == {"products": sha256, "variants": sha256}:
        return None
    return _Reading(file, sha256, datetime.now(UTC), _parse(file.path, contents))


def _remember(reading: _Reading, table: str) -> None:
    if reading.error is None:
        _loaded().setdefault(reading.source.shop, {})[table] = reading.sha256


def _contents(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise CatalogueError(f"{path} does not exist: put the catalogue there, or name another file.") from None
    except OSError as error:
        raise CatalogueError(f"{path} cannot be read ({error.strerror}): name a file that can be.") from error


def _parse(path: Path, contents: bytes) -> Catalogue:
    kinds = {".csv": _from_csv, ".json": _from_storefront}
    parse = kinds.get(path.suffix.lower())
    if parse is None:
        raise CatalogueError(
            f"{path} is neither a product CSV (.csv) nor a saved /products.json (.json): name one of these."
        )
    return parse(path, _decode(path, contents))


def _decode(path: Path, contents: bytes) -> str:
    try:
        return contents.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = contents.count(b"\n", 0, error.start) + 1
        raise CatalogueError(
            f"{path}, line {line}: byte 0x{contents[error.start]:02X} is not UTF-8: save it as UTF-8."
        ) from None


@dataclass(frozen=True)
class _Row:
    """A line of a product CSV. A cell is "" if it is blank, and absent if the file has no such column."""

    where: str
    cells: dict[str | None, str]

    def text(self, name: str) -> str | None:
        return self.cells.get(name) or None

    def options(self) -> list[str]:
        return [value for name in _OPTIONS if (value := self.text(name))]

    def is_variant(self) -> bool:
        """False for a row that only brings another image."""
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


def _from_csv(path: Path, text: str) -> Catalogue:
    rows_by_handle: dict[str, list[_Row]] = {}
    for row in _csv_rows(path, text):
        handle = row.text("handle")
        if handle is None:
            raise CatalogueError(f"{row.where} has no handle: fill it in, on further lines of a product too.")
        rows_by_handle.setdefault(handle, []).append(row)
    if not rows_by_handle:
        raise CatalogueError(f"{path} has no rows below its header: {_EXPORT}.")
    return Catalogue(
        [_csv_product(handle, rows) for handle, rows in rows_by_handle.items()],
        [
            _csv_variant(handle, position, row)
            for handle, rows in rows_by_handle.items()
            for position, row in enumerate(filter(_Row.is_variant, rows), start=1)
        ],
    )


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
        values += [""] * (len(names) - len(values))  # spreadsheets leave blank cells at the end of a line out
        if any(values):
            # Backwards, so that of two columns for one thing the first counts.
            cells_by_name = dict(zip(reversed(names), reversed(values[: len(names)]), strict=True))
            yield _Row(f"{path}, line {number}", cells_by_name)


def _csv_lines(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """The records of a CSV, each with the number of its first line."""
    # strict: a quote that is never closed would otherwise swallow the rest of the file as one cell.
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
    """A description may be longer than the 128 KiB that the csv module takes, in the whole process, by default."""
    limit = csv.field_size_limit()
    csv.field_size_limit(max(limit, len(text)))
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _csv_product(handle: str, rows: list[_Row]) -> dict[str, Any]:
    # A product's cells stand on one of its lines, the first one unless the file was sorted.
    def first(name: str) -> _Row:
        return next((row for row in rows if row.text(name)), rows[0])

    status = first("status").text("status")
    return {
        "handle": handle,
        "product_id": None,
        **{name: first(name).text(name) for name in ("title", "description_html", "vendor", "product_type")},
        "tags": _tags(first("tags").text("tags") or ""),
        "status": status and status.upper(),
        "is_published": _is_published(first("published").choice("published", _FLAGS), status),
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
        "price": _amount(row.where, "price", row.text("price")),
        "compare_at_price": _amount(row.where, "compare_at_price", row.text("compare_at_price")),
        "is_available": _is_available(row, policy, quantity),
        "inventory_quantity": quantity,
        "inventory_policy": policy,
        "image_url": row.text("variant_image_url"),
    }


def _is_published(published: bool | None, status: str | None) -> bool | None:
    """Whether shoppers can find it: on the online store's list, and not a draft or archived."""
    return published if status is None or status.upper() == "ACTIVE" else False


def _is_available(row: _Row, policy: str | None, quantity: int | None) -> bool | None:
    """Whether it can be bought; None if the file does not say. What is not tracked is always in stock."""
    if row.cells.get("tracker") == "" or policy == "CONTINUE":
        return True
    return None if quantity is None else quantity > 0


def _first_image(rows: list[_Row]) -> str | None:
    images = [(row.whole_number("image_position"), row.text("image_url")) for row in rows if row.text("image_url")]
    images.sort(key=lambda image: (image[0] is None, image[0] or 0))
    return images[0][1] if images else None


def _tags(tags: str | list[str]) -> str:
    """A list of tags, or a text with commas between them, as a JSON list."""
    listed = tags.split(",") if isinstance(tags, str) else tags
    return msgspec.json.encode([tag.strip() for tag in listed if tag.strip()]).decode()


def _amount(where: str, name: str, amount: Any) -> str | None:
    """Money as the file has it, once it is sure that it can be read as a decimal."""
    text = "" if amount is None else str(amount).strip()
    if text and not _AMOUNT.fullmatch(text):
        raise CatalogueError(
            f"{where}: {name} is {text!r}, which is no decimal: write it like 1050000 or 69.99, without separators."
        )
    return text or None


_Time = Annotated[datetime, msgspec.Meta(tz=True)]


class _Image(msgspec.Struct):
    src: str | None = None
    position: int | None = None


class _StorefrontVariant(msgspec.Struct):
    id: int
    title: str
    price: Any  # a text; a number is made one as it is written, never a float
    sku: str | None = None
    compare_at_price: Any = None
    available: bool | None = None
    featured_image: _Image | None = None


class _StorefrontProduct(msgspec.Struct):
    id: int
    handle: Annotated[str, msgspec.Meta(min_length=1)]
    title: str
    variants: list[_StorefrontVariant]
    body_html: str | None = None
    vendor: str | None = None
    product_type: str | None = None
    tags: str | list[str] = ""
    images: list[_Image] = []
    created_at: _Time | None = None
    updated_at: _Time | None = None
    published_at: _Time | None = None


class _Storefront(msgspec.Struct):
    products: list[_StorefrontProduct]


def _from_storefront(path: Path, text: str) -> Catalogue:
    try:
        found = msgspec.json.Decoder(_Storefront, float_hook=str).decode(text).products
    except (msgspec.MsgspecError, RecursionError) as error:
        raise CatalogueError(f"{path} is no /products.json ({error}): {_SAVE}.") from error
    if not found:
        raise CatalogueError(f"{path} has no products: {_SAVE}.")
    _require_distinct(path, [product.handle for product in found])
    return Catalogue(
        [_storefront_product(product) for product in found],
        [
            _storefront_variant(f"{path}, product {product.handle}", product, position, variant)
            for product in found
            for position, variant in enumerate(product.variants, start=1)
        ],
    )


def _require_distinct(path: Path, handles: list[str]) -> None:
    twice = [handle for handle, times in Counter(handles).items() if times > 1]
    if twice:
        raise CatalogueError(f"{path} has the product {twice[0]} twice: remove one of them.")


def _storefront_product(product: _StorefrontProduct) -> dict[str, Any]:
    images = sorted(product.images, key=lambda image: (image.position is None, image.position or 0))
    return {
        "handle": product.handle,
        "product_id": str(product.id),
        "title": product.title,
        "description_html": product.body_html or None,
        "vendor": product.vendor or None,
        "product_type": product.product_type or None,
        "tags": _tags(product.tags),
        "status": None,
        "is_published": product.published_at is not None,
        "is_gift_card": None,
        "image_url": images[0].src if images else None,
        "created_at": product.created_at,
        "updated_at": product.updated_at,
        "published_at": product.published_at,
    }


def _storefront_variant(
    where: str, product: _StorefrontProduct, position: int, variant: _StorefrontVariant
) -> dict[str, Any]:
    return {
        "handle": product.handle,
        "product_id": str(product.id),
        "variant_id": str(variant.id),
        "position": position,
        "title": variant.title,
        "sku": variant.sku or None,
        "price": _amount(where, "price", variant.price),
        "compare_at_price": _amount(where, "compare_at_price", variant.compare_at_price),
        "is_available": variant.available,
        "inventory_quantity": None,
        "inventory_policy": None,
        "image_url": variant.featured_image.src if variant.featured_image else None,
    }
