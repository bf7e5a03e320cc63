"""Exports everything that is stored about a person as a package: JSON and CSV files with a plain-language readme.

Reads the warehouse; writes data/privacy/exports/<request id>/, which only its owner can read. The operator sends it and
deletes it; an erasure of the same person deletes it, too.

A package discloses nothing about anyone else. A browser that several customers used belongs to the one who ordered
there last, as in core.identity_map; packages of the others have only their own checkouts and orders from it.
"""

import shutil
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from ingestion.data_folder import warehouse_file
from ingestion.errors import IngestionError
from ingestion.privacy.identifiers import COLUMNS, CUSTOMER, ORDER, TOKEN, Identifier
from ingestion.privacy.requests import ACCESS, DONE, RECEIVED, Request, read_requests, write_request
from ingestion.privacy.subjects import subjects_of
from ingestion.privacy.suppression import Suppressions, privacy_folder

SCHEMAS = ("core", "analytics", "recommendations", "experiments", "operations", "exports")
_SUBJECTS = ".subjects"  # keyed hashes of the person's identifiers
# Keys of rows about a person that are not identifiers, and the queries that find them.
_KEYS = {
    "journey_id": (
        "select journey_id from core.identity_map where shop = $shop and (identifier_kind, identifier) in "
        "(select (kind, value) from person) and journey_id not in (select journey_id from others)"
    ),
    "session_id": "select session_id from core.sessions where journey_id in {journey_id}",
    "event_key": (
        "select event_key from intermediate.int_events where shop = $shop and (session_id in {session_id} "
        "or client_id in {client_id} or checkout_token in {checkout_token} or customer_id in {customer_id}) "
        "and (customer_id is null or customer_id in {customer_id}) and (checkout_token is null "
        "or checkout_token in {checkout_token} or checkout_token not in (select identifier from others))"
    ),
    "order_key": (
        "select order_key from core.orders where shop = $shop and (journey_id in {journey_id} "
        "or customer_id in {customer_id} or checkout_token in {checkout_token} or order_id in {order_id}) "
        "and (customer_id is null or customer_id in {customer_id})"
    ),
    "unit": "select unit from intermediate.int_experiment_exposures where journey_id in {journey_id}",
}
# Rows with these keys are the person's only if the event or order is, whatever browser or session they name.
_DECISIVE = ("event_key", "order_key")
# The identifiers in journeys of other customers.
_OTHERS = """
    create temp table others as
    select map.identifier_kind, map.identifier, map.journey_id
    from core.identity_map as map
    inner join core.identity_map as owners
        on map.shop = owners.shop and map.journey_id = owners.journey_id and owners.identifier_kind = $kind
    where map.shop = $shop and not list_contains($customers, owners.identifier)
"""
_README = """What {shop} holds about you
{line}

This package was created on {date}. It contains everything that the store's analytics hold about you: your browser, your
visits, what you looked at, your carts, checkouts and orders, and the recommendations made from them. Names, e-mail and
postal addresses, phone numbers and payment data are not included: they are removed before anything is stored.

raw_events.json   what your browser sent, as it was received
raw_orders.json   your orders, as the store's system reports them

Each other file is one table, both as .csv (for a spreadsheet) and as .json:

{tables}
"""


class NothingBuilt(IngestionError):
    """There is nothing to write a package from; the message names the remedy."""


def exports_folder(data: Path) -> Path:
    """The folder of all packages."""
    return privacy_folder(data) / "exports"


def export_pending(data: Path) -> int:
    """Write the packages of all open access requests; returns how many."""
    pending = [one for one in read_requests(data) if one.topic in ACCESS and one.status == RECEIVED]
    for request in pending:
        folder = exports_folder(data) / request.request_id
        rows = write_package(data, request, folder)
        request.status, request.fulfilled_at = DONE, datetime.now(UTC)
        request.identifiers = []
        request.counts = {"files": len(rows), "events": rows.get("raw_events", 0)}
        request.detail = f"The package is in privacy/exports/{request.request_id}: send it, then delete it."
        write_request(data, request)
    return len(pending)


def write_package(data: Path, request: Request, folder: Path) -> dict[str, int]:
    """Write the package of a request; returns the number of rows of each non-empty file.

    Raises:
        NothingBuilt: no refresh has built the tables.
    """
    if not _is_built(data):
        raise NothingBuilt(f"{warehouse_file(data)} has no tables yet: run `pixelnova refresh` first.")
    unfinished = folder.with_name(f"{folder.name}.tmp")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    exports_folder(data).chmod(0o700)
    with duckdb.connect() as connection:
        connection.execute(f"attach '{warehouse_file(data)}' as warehouse (read_only)")
        connection.execute("use warehouse")
        connection.execute("set timezone = 'UTC'")
        subjects, _ = subjects_of(connection, [request])
        connection.execute("create temp table of_shop as select $shop as shop", {"shop": request.shop})
        identifiers = _select(connection, request, subjects.get(request.request_id, []))
        rows = _write_raw(connection, unfinished)
        descriptions = {}
        for schema, table, comment, condition in _tables(connection):
            name = f"{schema}.{table}"
            count = _write(connection, f"select * from {name} where {condition}", unfinished / name)
            if count:
                rows[name], descriptions[name] = count, " ".join((comment or "").split())
    title = f"What {request.shop} holds about you"
    tables = "\n".join(f"{name} ({rows[name]:,} rows)\n    {text}" for name, text in descriptions.items())
    readme = _README.format(
        shop=request.shop, line="=" * len(title), date=f"{datetime.now(UTC):%Y-%m-%d}", tables=tables or "(none)"
    )
    (unfinished / "README.txt").write_text(readme)
    suppressions = Suppressions(data)
    hashes = "\n".join(suppressions.hash(request.shop, one) for one in identifiers)
    (unfinished / _SUBJECTS).write_text(hashes)
    for path in unfinished.iterdir():
        path.chmod(0o600)
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)
    return rows


def _is_built(data: Path) -> bool:
    if not warehouse_file(data).exists():
        return False
    with duckdb.connect(str(warehouse_file(data)), read_only=True) as connection:
        tables = "select 1 from information_schema.tables where table_schema = 'core' and table_name = 'identity_map'"
        return bool(connection.execute(tables).fetchall())


def remove_packages(data: Path, shop: str, identifiers: Iterable[Identifier]) -> None:
    """Remove the packages about people with any of these identifiers."""
    suppressions = Suppressions(data)
    theirs = {suppressions.hash(shop, one) for one in identifiers}
    for subjects in exports_folder(data).glob(f"*/{_SUBJECTS}"):
        if not theirs.isdisjoint(subjects.read_text().split()):
            shutil.rmtree(subjects.parent)


def remove_packages_of_shop(data: Path, shop: str) -> None:
    """Remove the packages about all people of a shop."""
    for request in read_requests(data):
        if request.shop == shop and request.topic in ACCESS:
            for folder in exports_folder(data).glob(f"{request.request_id}*"):  # also an unfinished one
                shutil.rmtree(folder)


def _select(connection: duckdb.DuckDBPyConnection, request: Request, found: Sequence[Identifier]) -> list[Identifier]:
    """Put all keys of the person's rows into the temporary table `person` (kind, column_name, value).

    Returns the identifiers that are the person's own.
    """
    named = [one.value for one in request.identifiers if one.kind == CUSTOMER]
    customers = named or [one.value for one in found if one.kind == CUSTOMER]
    connection.execute(_OTHERS, {"shop": request.shop, "kind": CUSTOMER, "customers": customers})
    others = set(connection.execute("select identifier_kind, identifier from others").fetchall())
    # A checkout is found by its customer or its order, so it is the person's even in a browser of another.
    identifiers = [one for one in found if one.kind in (TOKEN, ORDER) or one not in others]
    connection.execute("create temp table person (kind varchar, column_name varchar, value varchar)")
    rows = [(kind, COLUMNS[kind], value) for kind, value in identifiers]
    connection.executemany("insert into person values (?, ?, ?)", rows or [(None, None, None)])
    known = {column: _values(column) for column in (*COLUMNS.values(), *_KEYS)}
    for column, select in _KEYS.items():
        values = {"shop": request.shop} if "$shop" in select else None
        connection.execute(
            f"insert into person select distinct null, '{column}', {column} from ({select.format(**known)})", values
        )
    return identifiers


def _values(column: str) -> str:
    return f"(select value from person where column_name = '{column}' and value is not null)"


def _tables(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str | None, str]]:
    """Schema, name, description and condition of each table with rows that may be about a person."""
    columns = connection.execute(
        "select schema_name, table_name, list(column_name) from duckdb_columns() "
        "where database_name = 'warehouse' and list_contains($schemas, schema_name) group by all order by all",
        {"schemas": list(SCHEMAS)},
    ).fetchall()
    comments = connection.execute(
        "select schema_name, table_name, comment from duckdb_tables() where database_name = 'warehouse' union all "
        "select schema_name, view_name, comment from duckdb_views() where database_name = 'warehouse'"
    ).fetchall()
    described = {(schema, table): comment for schema, table, comment in comments}
    found = []
    for schema, table, names in columns:
        conditions = [f"{name} in {_values(name)}" for name in (*COLUMNS.values(), *_KEYS) if name in names]
        if "identifier_kind" in names:
            conditions.append("(identifier_kind, identifier) in (select (kind, value) from person)")
        if conditions:
            shop = "shop = (select shop from of_shop) and " if "shop" in names else ""
            own = [f" and ({name} is null or {name} in {_values(name)})" for name in _DECISIVE if name in names]
            condition = f"{shop}({' or '.join(conditions)}){''.join(own)}"
            found.append((schema, table, described.get((schema, table)), condition))
    return found


def _write_raw(connection: duckdb.DuckDBPyConnection, folder: Path) -> dict[str, int]:
    """The events as received, and the orders of the Admin API."""
    events = f"""
        select raw.*
        from raw_pixel.events as raw
        inner join intermediate.int_events as events
            on raw.landing_file = events.landing_file and raw.request_id = events.request_id
            and raw.index = events.request_index
        where events.event_key in {_values("event_key")}
        order by raw.received_at, raw.request_id, raw.index
    """
    orders = f"""
        select fetched_at, node from raw_shopify.orders
        where shop = (select shop from of_shop)
            and regexp_extract(id, '[0-9]+$') in {_values("order_id")}
        order by fetched_at
    """
    counts = {}
    for name, select in (("raw_events", events), ("raw_orders", orders)):
        count = _count(connection, select)
        if count:
            connection.execute(f"copy ({select}) to '{folder / name}.json' (format json, array true)")
            counts[name] = count
    return counts


def _write(connection: duckdb.DuckDBPyConnection, select: str, file: Path) -> int:
    """Write the rows of a query as CSV and JSON, unless there are none; returns how many."""
    count = _count(connection, select)
    if count:
        connection.execute(f"copy ({select}) to '{file}.csv' (header)")
        connection.execute(f"copy ({select}) to '{file}.json' (format json, array true)")
    return count


def _count(connection: duckdb.DuckDBPyConnection, select: str) -> int:
    [(count,)] = connection.execute(f"select count(*) from ({select})").fetchall()
    return count
