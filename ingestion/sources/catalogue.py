"""dlt source `catalogue`: a shop's catalogue from files, for shops without an Admin API token.

Reads the files of shops.toml; writes products and variants, one row per product or variant and reading (a log of the
catalogue over time), and readings, one row per shop and reading.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dlt
from dlt.extract import DltResource

from ingestion.sources import SCHEMA_CONTRACT
from ingestion.sources.catalogue_files import CatalogueFiles, fingerprint, parse, read_file
from ingestion.sources.catalogue_rows import (
    PRODUCT_COLUMNS,
    READING_COLUMNS,
    VARIANT_COLUMNS,
    Catalogue,
    CatalogueError,
)


@dataclass(frozen=True)
class _Reading:
    """A shop's files at one moment, shared by all tables; unusable files give an error and no rows."""

    source: CatalogueFiles
    fingerprint: str
    fetched_at: datetime
    catalogue: Catalogue
    error: str | None = None

    def stamped(self, rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for row in rows:
            yield {"shop": self.source.shop, **row, "fetched_at": self.fetched_at, "file": self.source.names}


@dlt.source(name="catalogue", schema_contract=SCHEMA_CONTRACT, max_table_nesting=0)
def catalogue_source(shops: Sequence[CatalogueFiles] = ()) -> tuple[DltResource, ...]:
    """Tables raw_catalogue.products and raw_catalogue.variants: append-only readings.

    Files identical to the last load of their shop are skipped. raw_catalogue.readings has one row per shop whose files
    were read; unusable files do not stop other shops, and their row has the error.
    """

    # One item even without files: the transformers create the tables, and run once per item.
    @dlt.resource(name="changed_files", selected=False)
    def changed_files() -> Iterator[list[_Reading]]:
        yield [reading for files in shops if (reading := _read_if_changed(files))]

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
                "file": reading.source.names,
                "fetched_at": reading.fetched_at,
                "rows": len(reading.catalogue.products) + len(reading.catalogue.variants),
                "is_complete": reading.catalogue.is_complete,
                "warning": reading.catalogue.warning,
                "error": reading.error,
            }
            for reading in changed
        ]

    return changed_files, products, variants, readings


def _loaded() -> dict[str, dict[str, str]]:
    """Shop ▶ table ▶ fingerprint of the last load; dlt discards changes of a failed extraction."""
    return dlt.current.source_state().setdefault("loaded", {})


def _read_if_changed(files: CatalogueFiles) -> _Reading | None:
    try:
        return _read_unless_loaded(files)
    except CatalogueError as error:
        _loaded().pop(files.shop, None)  # so that repaired files are read again even if identical to the last load
        return _Reading(files, "", datetime.now(UTC), Catalogue([], []), str(error))


def _read_unless_loaded(files: CatalogueFiles) -> _Reading | None:
    contents = {path: read_file(path) for path in files.paths}
    found = fingerprint(contents)
    # Per table: Dagster can load one without the other, and the other must then not count as loaded.
    if _loaded().get(files.shop) == {"products": found, "variants": found}:
        return None
    return _Reading(files, found, datetime.now(UTC), parse(contents))


def _remember(reading: _Reading, table: str) -> None:
    if reading.error is None:
        _loaded().setdefault(reading.source.shop, {})[table] = reading.fingerprint
