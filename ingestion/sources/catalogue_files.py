"""The catalogue files of a shop, read as one catalogue.

Reads product CSVs (.csv) and saved pages of /products.json (.json); returns a `Catalogue`.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ingestion.shops import Shop
from ingestion.sources.catalogue_csv import read_csv
from ingestion.sources.catalogue_json import read_json
from ingestion.sources.catalogue_rows import Catalogue, CatalogueError
from ingestion.sources.shopify_api import admin_apis

READER = b"2"  # increase it when the parsing changes, so that unchanged files are read again
_READERS = {".csv": read_csv, ".json": read_json}


@dataclass(frozen=True)
class CatalogueFiles:
    """The files that together form a shop's catalogue."""

    shop: str
    paths: tuple[Path, ...]

    @property
    def names(self) -> str:
        """Their names, as shown in tables and messages."""
        return ", ".join(path.name for path in self.paths)


def catalogue_files(shops: Sequence[Shop], folder: Path) -> list[CatalogueFiles]:
    """The catalogue files of shops that have no token for the Admin API.

    Args:
        folder: base of relative names: the folder of shops.toml.
    """
    with_token = {api.shop for api in admin_apis(shops)}
    return [
        CatalogueFiles(shop.domain, tuple(folder / name for name in shop.catalogue_names))
        for shop in shops
        if shop.catalogue_names and shop.domain not in with_token
    ]


def read_catalogue(*paths: Path) -> Catalogue:
    """The products and variants of files, in their order. The last file wins where several have the same product.

    Raises:
        CatalogueError: a file is missing, is of another kind, is not UTF-8, or has a value that cannot be stored.
    """
    return parse({path: read_file(path) for path in paths})


def fingerprint(contents: dict[Path, bytes]) -> str:
    """A digest that is equal for equal contents."""
    return hashlib.sha256(READER + b"".join(hashlib.sha256(one).digest() for one in contents.values())).hexdigest()


def read_file(path: Path) -> bytes:
    """The contents of a file.

    Raises:
        CatalogueError: the file is missing or cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise CatalogueError(f"{path} does not exist: put the catalogue there, or name another file.") from None
    except OSError as error:
        raise CatalogueError(f"{path} cannot be read ({error.strerror}): name a readable file.") from error


def parse(contents: dict[Path, bytes]) -> Catalogue:
    """Like `read_catalogue`, for files already read."""
    parts = {path: _parse_file(path, text) for path, text in contents.items()}
    named = [(product, path) for path, part in parts.items() for product in part.products]
    file_of = {product["handle"]: path for product, path in named}
    # If an export was split within a product, the rest of its lines has no title.
    file_of |= {product["handle"]: path for product, path in named if product["title"]}
    if not file_of:
        [path, *_] = parts
        raise CatalogueError(f"{path} has no products: save the page /products.json?limit=250 of the shop again.")
    full = [path for path, part in parts.items() if not part.is_complete]
    # A page with fewer products than another, possibly none, is the last one.
    is_complete = len(full) < len(parts) or len({len(part.products) for part in parts.values()}) > 1
    warnings = [part.warning for part in parts.values()]
    if not is_complete:
        warnings.append(_incomplete(full[-1], parts[full[-1]]))
    overruled = [product["handle"] for product, path in named if file_of[product["handle"]] != path]
    warnings.append(_in_several_files(overruled, file_of))
    return Catalogue(
        [row for path, part in parts.items() for row in part.products if file_of[row["handle"]] == path],
        [row for path, part in parts.items() for row in part.variants if file_of[row["handle"]] == path],
        is_complete,
        " ".join(filter(None, warnings)) or None,
    )


def _parse_file(path: Path, contents: bytes) -> Catalogue:
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise CatalogueError(
            f"{path} is neither a product CSV (.csv) nor a saved /products.json (.json): name one of these."
        )
    try:
        return read(path, contents.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = contents.count(b"\n", 0, error.start) + 1
        raise CatalogueError(
            f"{path}, line {line}: byte 0x{contents[error.start]:02X} is not UTF-8: save it as UTF-8."
        ) from None


def _incomplete(last: Path, page: Catalogue) -> str:
    return (
        f"{last.name} has exactly {len(page.products)} products, which is a full page, so more may follow; "
        "until that is known, no product counts as deleted. Save the next page as well, even if it is empty, and name "
        'all pages in shops.toml: catalogue = ["page-1.json", "page-2.json"].'
    )


def _in_several_files(overruled: list[str], file_of: dict[str, Path]) -> str | None:
    if not overruled:
        return None
    others = len(set(overruled)) - 1
    more = f" and {others:,} more" if others else ""
    return f"Several files have {overruled[0]}{more}: {file_of[overruled[0]].name} wins."
