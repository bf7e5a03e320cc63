"""Erases people from files that are not landing files: Shopify's webhooks, logs, and the history of runs."""

import re
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ingestion.privacy.identifiers import CUSTOMER, ORDER, TOKEN, Identifier, identifier

_WORD = re.compile(r"[A-Za-z0-9_-]{6,}")  # shorter identifiers occur by chance
ERASED_WORD = "[erased]"
_LOG_FOLDERS = ("dagster", "dbt", "logs")
_SQLITE = (".db", ".sqlite")


def mentions(text: str, values: Collection[str]) -> bool:
    """Whether a text contains one of the identifiers as a whole word of at least six characters."""
    return bool(values) and any(word in values for word in _WORD.findall(text))


def erase_webhooks(folder: Path, identifiers: Mapping[str, Sequence[Identifier]], whole_shops: Collection[str]) -> int:
    """Remove the stored webhooks of erased people and shops; returns how many."""
    removed = 0
    for path in sorted(folder.glob("*/*.json")):
        webhook = msgspec.json.decode(path.read_bytes())
        theirs = set(identifiers.get(webhook["shop"], ()))
        if webhook["shop"] in whole_shops or not theirs.isdisjoint(_of_body(webhook["body"])):
            path.unlink()
            removed += 1
    return removed


def _of_body(body: Any) -> list[Identifier]:
    if not isinstance(body, dict):
        return []
    customer = body.get("customer")
    stated = [(ORDER, body.get("id")), (ORDER, body.get("admin_graphql_api_id")), (TOKEN, body.get("checkout_token"))]
    stated.append((CUSTOMER, customer.get("id") if isinstance(customer, dict) else None))
    return [one for one in (identifier(kind, value) for kind, value in stated) if one]


def erase_from_logs(data: Path, values: Collection[str]) -> None:
    """Replace identifiers in logs, dbt's artifacts and Dagster's history, where an error message may name one."""
    values = {value for value in values if _WORD.fullmatch(value)}
    if not values:
        return
    for path in sorted(data.glob("*.json")):  # how the last run ended, alerts
        _erase_from_text(path, values)
    for folder in _LOG_FOLDERS:
        for path in sorted((data / folder).rglob("*")):
            if path.suffix in _SQLITE:
                _erase_from_sqlite(path, values)
            elif path.is_file() and not path.name.endswith(("-wal", "-shm", "-journal")):
                _erase_from_text(path, values)


def _erase_from_text(path: Path, values: Collection[str]) -> None:
    text = path.read_bytes().decode("utf-8", errors="surrogateescape")
    if mentions(text, values):
        erased = _WORD.sub(lambda word: ERASED_WORD if word[0] in values else word[0], text)
        with path.open("r+b") as file:  # in place: a log may be open for appending
            file.write(erased.encode("utf-8", errors="surrogateescape"))
            file.truncate()


def _erase_from_sqlite(path: Path, values: Collection[str]) -> None:
    with sqlite3.connect(path, timeout=60) as database:
        database.execute("pragma secure_delete = on")  # overwrites what an update frees
        tables = database.execute("select name from sqlite_master where type = 'table'").fetchall()
        for (table,) in tables:
            columns = [
                name for _, name, kind, *_ in database.execute(f'pragma table_info("{table}")') if "INT" not in kind
            ]
            for column in columns:
                rows = database.execute(f'select rowid, "{column}" from "{table}"').fetchall()
                for row, text in rows:
                    if isinstance(text, str) and mentions(text, values):
                        erased = _WORD.sub(lambda word: ERASED_WORD if word[0] in values else word[0], text)
                        database.execute(f'update "{table}" set "{column}" = ? where rowid = ?', (erased, row))
        database.commit()
        database.execute("pragma wal_checkpoint(truncate)")
