"""Searches a data folder for personal data: every file, and every text in databases and Parquet files.

Reads landing files, archives, DuckDB and SQLite databases, Parquet, JSON, compressed files and logs; returns the kinds
of personal data found in each place, with a count and a masked example.
"""

import json
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ingestion.collector.personal_rules import key_of
from ingestion.errors import IngestionError
from ingestion.privacy.patterns import Found, find

BLOCK_BYTES = 1 << 20
FETCHED_ROWS = 10_000
MAX_REMEMBERED = 200_000  # texts, of at most MAX_REMEMBERED_CHARACTERS each
MAX_REMEMBERED_CHARACTERS = 200
_READABLE = re.compile(r"[^\x00-\x08\x0e-\x1f\x7f-\x9f\ufffd]{6,}")
_DUCKDB = b"DUCK"
# A value that matches none of this holds nothing personal; DuckDB rules it out much faster than Python.
_MAY_BE_PERSONAL = (
    r"@|%40|u0040|eyJ|shp[a-z]{2,3}_|k_(live|test)_|key=|oken=|%2B|:[0-9A-Fa-f]*:[0-9A-Fa-f]*:|[0-9]{15}|[0-9][.][0-9]{1,3}[.][0-9]{1,3}[.][0-9]"
    r"|[A-Z]{2}[0-9]{2}|([0-9][ .\-/()\x{00a0}\x{2010}-\x{2015}]{0,3}){6}[0-9]"
)


class ScanError(IngestionError):
    """A file cannot be searched; the message names it and the remedy."""


@dataclass
class Hit:
    """Personal data of one kind in one place: a file, or file and table.column. example: masked."""

    where: str
    kind: str
    count: int
    example: str


class Text(NamedTuple):
    """A text and its location. count: how often. numbers: whether its numbers are meaningful (see patterns.find)."""

    where: str
    text: str
    count: int = 1
    numbers: bool = True


def scan(data: Path, on_file: Callable[[Path], None] = lambda file: None) -> list[Hit]:
    """Everything personal in a data folder, by place and kind.

    Args:
        on_file: called with each of `files_of(data)` before it is searched.

    Raises:
        ScanError: a file cannot be read.
    """
    hits: dict[tuple[str, str], Hit] = {}
    harmless: set[str] = set()
    for file in files_of(data):
        on_file(file)
        for text in _texts(file, str(file.relative_to(data))):
            for found in found_in(text, harmless):
                hit = hits.setdefault((text.where, found.kind), Hit(text.where, found.kind, 0, found.masked))
                hit.count += text.count
    return sorted(hits.values(), key=lambda hit: (hit.where, hit.kind))


def write_report(file: Path, hits: list[Hit]) -> None:
    """Write what was found as JSON: `[{"where", "kind", "count", "example"}]`; the file is whole or absent.

    Raises:
        ScanError: it cannot be written.
    """
    unfinished = file.with_name(f".{file.name}.tmp")
    try:
        with unfinished.open("w", encoding="utf-8") as opened:
            json.dump([asdict(hit) for hit in hits], opened, indent=2, ensure_ascii=False)
            opened.flush()
            os.fsync(opened.fileno())
        unfinished.replace(file)
    except OSError as error:
        raise ScanError(f"{file} cannot be written ({error.strerror}): choose another file.") from error


def found_in(text: Text, harmless: set[str]) -> Iterator[Found]:
    """What is found between the text's quotation marks. harmless: a cache of parts, because those of JSON recur."""
    parts = text.text.split('"')
    for index, part in enumerate(parts):
        if part in harmless:
            continue
        has_key = index > 1 and parts[index - 1].strip() == ":"
        numbers = text.numbers and not (has_key and key_of(parts[index - 2]).without_numbers)
        found = list(find(part, numbers))
        yield from found
        if not found and numbers and len(part) <= MAX_REMEMBERED_CHARACTERS:
            if len(harmless) >= MAX_REMEMBERED:
                harmless.clear()
            harmless.add(part)


def files_of(data: Path) -> list[Path]:
    """All files of a folder, without following links: `published/current` is one."""
    found = [Path(folder) / name for folder, _, names in os.walk(data) for name in names]
    return sorted(file for file in found if not file.is_symlink())


def _texts(file: Path, where: str) -> Iterator[Text]:
    """All texts of a file. A damaged database is searched like any other file."""
    import duckdb

    try:
        with file.open("rb") as opened:
            start = opened.read(16)
        read = _of_duckdb if start[8:12] == _DUCKDB else _READERS.get(start[:4], _of_bytes)
        try:
            yield from read(file, where)
        except (sqlite3.Error, duckdb.Error):
            yield from _of_bytes(file, where)
    except FileNotFoundError:
        return  # a running collector has sealed the file, or a load has archived it
    except OSError as error:
        raise ScanError(f"{file} cannot be searched ({error.strerror or error}): fix it or move it away.") from error


def _of_bytes(file: Path, where: str, compression: str | None = None) -> Iterator[Text]:
    """The readable parts of any file: text, or the strings of a binary one."""
    import pyarrow as pa

    with pa.input_stream(str(file), compression=compression) as stream:
        rest = b""
        while block := stream.read(BLOCK_BYTES):
            whole, rest = _cut(rest + block)
            yield from (Text(where, part) for part in _READABLE.findall(whole.decode(errors="replace")))
        yield from (Text(where, part) for part in _READABLE.findall(rest.decode(errors="replace")))


def _of_compressed(compression: str) -> Callable[[Path, str], Iterator[Text]]:
    def read(file: Path, where: str) -> Iterator[Text]:
        try:
            yield from _of_bytes(file, where, compression)
        except OSError:  # damaged, or only looks compressed
            yield from _of_bytes(file, where)

    return read


def _cut(text: bytes) -> tuple[bytes, bytes]:
    """The text up to its last separator, so that no value is split, and the rest."""
    end = 1 + max(text.rfind(sign) for sign in (b"\n", b",", b'"', b"\0"))
    return (text, b"") if end == 0 and len(text) > 2 * BLOCK_BYTES else (text[:end], text[end:])


def _of_sqlite(file: Path, where: str) -> Iterator[Text]:
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
        connection.text_factory = lambda content: content.decode(errors="replace")
        tables = connection.execute("select name from sqlite_master where type = 'table'").fetchall()
        for (table,) in tables:
            for _, column, *_ in connection.execute(f"pragma table_info({_quoted(table)})").fetchall():
                name = _quoted(column)
                for (value,) in connection.execute(
                    f"select {name} from {_quoted(table)} where typeof({name}) in ('text', 'blob')"
                ):
                    text = value.decode(errors="replace") if isinstance(value, bytes) else value
                    yield from (Text(f"{where} {table}.{column}", part) for part in _READABLE.findall(text))


def _of_parquet(file: Path, where: str) -> Iterator[Text]:
    import duckdb

    with duckdb.connect() as connection:
        relation = "read_parquet('" + str(file).replace("'", "''") + "')"
        for column, kind, *_ in connection.execute(f"describe from {relation}").fetchall():
            yield from _of_column(connection, relation, column, kind, f"{where} {column}")


def _of_duckdb(file: Path, where: str) -> Iterator[Text]:
    import duckdb

    try:
        connection = duckdb.connect(str(file), read_only=True)
    except duckdb.IOException as error:
        if "Could not set lock" not in str(error):
            raise
        raise ScanError(
            f"{file} is open in another process: wait until its run has finished, then scan again."
        ) from error
    with connection:
        columns = connection.execute(
            "select schema_name, table_name, column_name, data_type from duckdb_columns() "
            "inner join duckdb_tables() using (database_name, schema_name, table_name) "
            "where database_name = current_database() order by schema_name, table_name, column_index"
        ).fetchall()
        for schema, table, column, kind in columns:  # not of views: they store nothing
            relation = f"{_quoted(schema)}.{_quoted(table)}"
            yield from _of_column(connection, relation, column, kind, f"{where} {schema}.{table}.{column}")


def _of_column(connection: Any, relation: str, column: str, kind: str, where: str) -> Iterator[Text]:
    """The text values of a column that may be personal; each distinct one once, except for whole documents."""
    if not any(name in kind for name in ("VARCHAR", "JSON", "BLOB")):
        return
    numbers = not key_of(column).without_numbers
    count, group = ("1", "") if kind == "JSON" else ("count(*)", "group by value")
    cursor = connection.execute(
        f"select value, {count} from (select cast({_quoted(column)} as varchar) as value from {relation}) as texts "
        f"where regexp_matches(value, $pattern) {group}",
        {"pattern": _MAY_BE_PERSONAL},
    )
    while rows := cursor.fetchmany(FETCHED_ROWS):
        yield from (Text(where, value, number, numbers) for value, number in rows)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


_READERS: dict[bytes, Callable[[Path, str], Iterator[Text]]] = {
    b"SQLi": _of_sqlite,
    b"PAR1": _of_parquet,
    b"\x1f\x8b\x08\x00": _of_compressed("gzip"),
    b"\x1f\x8b\x08\x08": _of_compressed("gzip"),
    b"\x28\xb5\x2f\xfd": _of_compressed("zstd"),
    b"BZh9": _of_compressed("bz2"),
}
