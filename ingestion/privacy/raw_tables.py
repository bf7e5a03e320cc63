"""Finds and erases people's rows in the warehouse's raw tables, and lists what dbt has to rebuild.

Reads raw_pixel.events and raw_shopify.orders; deletes and changes rows of raw_pixel and raw_shopify, and of those
tables of `intermediate` that a run would not replace.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import duckdb
import msgspec

from ingestion.landing import ENVELOPE_VERSION, Consent, Envelope, encode_envelope
from ingestion.privacy.anonymous import SOURCE
from ingestion.privacy.files import mentions
from ingestion.privacy.identifiers import (
    CLIENT,
    COLUMNS,
    COMPLETED,
    CUSTOMER,
    PATHS,
    TOKEN,
    Identifier,
    identifier,
    of_event,
)
from ingestion.privacy.selection import Selection
from ingestion.privacy.suppression import Suppressions
from ingestion.privacy.taking_out import KeepOrders, remaining_rows

MAX_SHARE = 0.2  # of all events; if more are erased, a full build is faster than an incremental one
ORDER_TABLES = ("orders", "order_lines")
_STATED = """
    create or replace temp table stated as
    select
        shop, received_at, landing_file, request_id, index, texts[1] as event_id, texts[2] as event_name,
        texts[3] as client, texts[4] as token, texts[5] as customer, texts[6] as "order"
    from (
        select *, json_extract_string(event, $paths) as texts from raw_pixel.events where list_contains($shops, shop)
    )
"""
_ERASED = """
    create or replace temp table erased_lines as
    select distinct stated.* from stated inner join suppressed using (shop)
    where suppressed.kind = 'shop' and stated.received_at <= suppressed.until
    union
""" + " union ".join(
    f"""
    select distinct stated.* from stated inner join suppressed
        on stated.shop = suppressed.shop and suppressed.kind = '{kind}' and stated."{kind}" = suppressed.value
    """
    for kind in PATHS
)
# From dbt's staging view, so that an event has the same time as its rows.
_STATED_IN_STAGING = f"""
    create or replace temp table stated as
    select
        typed.shop, typed.event_at, typed.received_at, raw.landing_file, raw.request_id, raw.index,
        typed.event_id, typed.event_name, {", ".join(f"typed.{COLUMNS[kind]}" for kind in (CLIENT, TOKEN, CUSTOMER))}
    from staging.stg_pixel__events as typed
    inner join raw_pixel.events as raw
        on typed.landing_file = raw.landing_file and typed.request_id = raw.request_id
        and typed.request_index = raw.index
    where raw.source <> '{SOURCE}' and typed.shop in (select shop from expiring)
"""
_EXPIRED = """
    create or replace temp table erased_lines as
    select distinct stated.* from stated inner join expiring using (shop)
    where kind = 'time' and coalesce(event_at, received_at) < until
    union
""" + " union ".join(
    f"""
    select distinct stated.* from stated inner join expiring
        on stated.shop = expiring.shop and stated.{COLUMNS[kind]} = expiring.value
    where kind = '{kind}'
    """
    for kind in (CLIENT, TOKEN, CUSTOMER)
)
# Remaining copies of events with an erased copy: only a full build can decide which of them counts.
_COPIES = """
    select count(*) from stated
    where (shop, event_id) in (select (shop, event_id) from erased_lines where event_id is not null)
        and (landing_file, request_id, index) not in (select (landing_file, request_id, index) from erased_lines)
"""
# When a row of a shop's raw or kept tables came into being.
_TIMES = ("fetched_at", "began_at", "received_at", "local_date", "closed_until")
_IS_ERASED = """
    (events.landing_file, events.request_id, events.index)
        in (select (landing_file, request_id, index) from erased_lines)
"""
# The erased events as dbt knows them, each with the time span whose sessions are split again.
_CHANGED = """
    create or replace temp table erased_events as
    select
        events.event_key, events.shop, events.client_id, events.checkout_token, events.customer_id, events.event_at,
        events.local_date, least(events.event_at, sessions.started_at) as from_at,
        greatest(events.event_at, sessions.ended_at) as to_at
    from intermediate.int_events as events
    left join intermediate.int_sessions as sessions on events.session_id = sessions.session_id
    where (events.landing_file, events.request_id, events.request_index)
        in (select (landing_file, request_id, index) from erased_lines)
"""


class Lines(NamedTuple):
    """What was found. files: names of landing files with lines to erase. orders: lines of orders, with their envelope.

    need_rebuild: an incremental build would be wrong, or slower than a full one.
    """

    files: set[str]
    orders: list[tuple[bytes, Envelope]]
    need_rebuild: bool


def find_lines(
    connection: duckdb.DuckDBPyConnection,
    identifiers: Mapping[str, Sequence[Identifier]],
    whole_shops: Collection[str],
    suppressions: Suppressions,
) -> Lines:
    """Find the raw events with a suppressed identifier and list them in the temporary table `erased_lines`.

    Args:
        identifiers: by shop; unreadable lines are searched for them.
    """
    if not _has(connection, "raw_pixel", "events"):
        return Lines(set(), [], need_rebuild=False)
    shops = sorted({*identifiers, *whole_shops})
    connection.execute(_STATED, {"shops": shops, "paths": ["$.id", "$.name", *PATHS.values()]})
    connection.execute(
        "create or replace temp table suppressed (shop varchar, kind varchar, value varchar, until timestamptz)"
    )
    rows: list[tuple[Any, ...]] = [(shop, "shop", None, suppressions.shops[shop]) for shop in whole_shops]
    for kind in PATHS:
        for shop, text in connection.execute(
            f'select distinct shop, "{kind}" from stated where "{kind}" is not null'
        ).fetchall():
            found = identifier(kind, text)
            if found and suppressions.contains(shop, found):
                rows.append((shop, kind, text, None))
    _insert(connection, "suppressed", rows)
    connection.execute(_ERASED)
    return _found(connection, identifiers, whole_shops)


def find_expired(
    connection: duckdb.DuckDBPyConnection,
    before: Mapping[str, datetime],
    inactive: Mapping[str, Sequence[Identifier]],
) -> Lines:
    """Find the raw events before a time, by shop, and those of inactive people; like `find_lines`."""
    if not _has(connection, "staging", "stg_pixel__events"):
        return Lines(set(), [], need_rebuild=False)
    connection.execute(
        "create or replace temp table expiring (shop varchar, kind varchar, value varchar, until timestamp)"
    )
    rows: list[tuple[Any, ...]] = [(shop, "time", None, until.astimezone(UTC)) for shop, until in before.items()]
    rows += [(shop, kind, value, None) for shop, found in inactive.items() for kind, value in found]
    _insert(connection, "expiring", rows)
    connection.execute(_STATED_IN_STAGING)
    connection.execute(_EXPIRED)
    return _found(connection, {}, ())


def _found(
    connection: duckdb.DuckDBPyConnection,
    identifiers: Mapping[str, Sequence[Identifier]],
    whole_shops: Collection[str],
) -> Lines:
    """What is in the temporary table `erased_lines`."""
    [(erased, events)] = connection.execute(
        "select (select count(*) from erased_lines), (select count(*) from raw_pixel.events)"
    ).fetchall()
    [(copies,)] = connection.execute(_COPIES).fetchall()
    files = {name for (name,) in connection.execute("select distinct landing_file from erased_lines").fetchall()}
    files |= {name for name, _ in _unreadable(connection, identifiers)}
    orders = connection.execute(
        "select events.* from raw_pixel.events as events "
        "inner join erased_lines using (landing_file, request_id, index)"
        f" where erased_lines.event_name = '{COMPLETED}' and not list_contains($whole_shops, events.shop)"
        " order by events.landing_file, events.request_id, events.index",
        {"whole_shops": list(whole_shops)},
    )
    names = [column[0] for column in orders.description]
    envelopes = [_envelope(dict(zip(names, row, strict=True))) for row in orders.fetchall()]
    return Lines(
        files,
        [(encode_envelope(envelope).rstrip(b"\n"), envelope) for envelope in envelopes],
        need_rebuild=copies > 0 or erased > MAX_SHARE * events,
    )


def erase_rows(
    connection: duckdb.DuckDBPyConnection,
    identifiers: Mapping[str, Sequence[Identifier]],
    selection: Selection,
    keep_orders: KeepOrders,
    incrementally: bool,
) -> None:
    """Erase what `find_lines` or `find_expired` has found, and the selected orders of the Admin API.

    Args:
        incrementally: also list the erased events in dbt's work set, so that the next run rebuilds the rows that they
            contributed to.
    """
    if _has(connection, "raw_pixel", "events"):
        if incrementally and _has(connection, "intermediate", "int_events_changed_this_run"):
            _hand_to_dbt(connection)
        _erase_events(connection)
        _erase_unreadable(connection, identifiers)
    for table in ORDER_TABLES:
        if _has(connection, "raw_shopify", table):
            _change_orders(connection, table, sorted(identifiers), selection, keep_orders)


def erase_shop(connection: duckdb.DuckDBPyConnection, shop: str, until: datetime) -> None:
    """Delete a shop's raw rows and the kept rows of its closed days up to a time, except its settings from shops.toml.

    Later rows are those of a shop that was connected again: the Admin API is not asked for them a second time.
    """
    tables = connection.execute(
        "select table_schema, table_name, list(column_name) from information_schema.columns "
        "where table_schema in ('raw_pixel', 'raw_shopify', 'raw_catalogue', 'kept') "
        "group by all having list_contains(list(column_name), 'shop')"
    ).fetchall()
    for schema, table, columns in tables:
        if (schema, table) == ("raw_pixel", "events"):
            continue  # erased by time received
        column = next(name for name in _TIMES if name in columns)
        kind = "date" if schema == "kept" else "timestamptz"
        chosen = f"shop = $shop and ({column} is null or {column} <= $until::{kind})"
        values = {"shop": shop, "until": until.astimezone(UTC).isoformat()}
        if (schema, table) == ("raw_pixel", "unreadable_lines"):
            _count_down(connection, "unreadable_lines", chosen, values)
        connection.execute(f"delete from {schema}.{table} where {chosen}", values)


def expire_unreadable(connection: duckdb.DuckDBPyConnection, before: Mapping[str, datetime]) -> None:
    """Delete the quarantined lines of shops that were received before a time, UTC."""
    for shop, until in before.items():
        values = {"shop": shop, "until": until.astimezone(UTC)}
        chosen = "shop = $shop and received_at < $until"
        _count_down(connection, "unreadable_lines", chosen, values)
        connection.execute(f"delete from raw_pixel.unreadable_lines where {chosen}", values)


def _hand_to_dbt(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(_CHANGED)
    connection.execute(
        "insert into intermediate.int_events_changed_this_run by name select * replace "
        "(coalesce(from_at, event_at) as from_at, coalesce(to_at, event_at) as to_at) from erased_events"
    )
    connection.execute("delete from intermediate.int_events where event_key in (select event_key from erased_events)")
    connection.execute("drop table erased_events")
    connection.execute(
        "delete from intermediate.int_events_rejected where (landing_file, content) in (select (landing_file, "
        f"event::varchar) from raw_pixel.events as events where {_IS_ERASED})"
    )


def _erase_events(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        "update raw_pixel.landing_files as files set events = files.events - erased.lines from "
        "(select landing_file, count(*) as lines from raw_pixel.events as events "
        f"where {_IS_ERASED} group by landing_file) as erased where files.landing_file = erased.landing_file"
    )
    connection.execute(f"delete from raw_pixel.events as events where {_IS_ERASED}")


def _unreadable(
    connection: duckdb.DuckDBPyConnection, identifiers: Mapping[str, Sequence[Identifier]]
) -> list[tuple[str, int]]:
    """Landing file and row of each unreadable line that mentions an identifier or is an event with one."""
    values = {one.value for found in identifiers.values() for one in found}
    stated = {one for found in identifiers.values() for one in found}
    if not values:
        return []
    rows = connection.execute("select landing_file, rowid, line from raw_pixel.unreadable_lines").fetchall()
    return [
        (landing_file, row)
        for landing_file, row, line in rows
        if mentions(line, values) or not stated.isdisjoint(of_event(line.encode()))
    ]


def _erase_unreadable(connection: duckdb.DuckDBPyConnection, identifiers: Mapping[str, Sequence[Identifier]]) -> None:
    rows = [row for _, row in _unreadable(connection, identifiers)]
    if rows:
        chosen = "rowid in (select unnest($rows::bigint[]))"
        _count_down(connection, "unreadable_lines", chosen, {"rows": rows})
        connection.execute(f"delete from raw_pixel.unreadable_lines where {chosen}", {"rows": rows})


def _count_down(connection: duckdb.DuckDBPyConnection, table: str, chosen: str, values: dict[str, Any]) -> None:
    """Lower the ledger's counts by the chosen rows, so that it agrees with the tables."""
    connection.execute(
        f"update raw_pixel.landing_files as files set {table} = files.{table} - gone.lines from (select landing_file, "
        f"count(*) as lines from raw_pixel.{table} where {chosen} group by landing_file) as gone "
        "where files.landing_file = gone.landing_file",
        values,
    )


def _change_orders(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    shops: Sequence[str],
    selection: Selection,
    keep_orders: KeepOrders,
) -> None:
    rows = connection.execute(
        f"select rowid, shop, id, parent_id, node::varchar from raw_shopify.{table} where list_contains($shops, shop)",
        {"shops": list(shops)},
    ).fetchall()
    gone, changed = [], []
    for row_id, shop, node_id, parent_id, node in rows:
        row = {"shop": shop, "id": node_id, "parent_id": parent_id, "node": node}
        [*left] = remaining_rows(table, [row], selection, keep_orders)
        if not left:
            gone.append((row_id,))
        elif left[0] is not row:
            changed.append((row_id, left[0]["id"], left[0]["parent_id"], left[0]["node"]))
    connection.execute("create or replace temp table gone (row_id bigint)")
    _insert(connection, "gone", gone)
    connection.execute(
        "create or replace temp table changed (row_id bigint, id varchar, parent_id varchar, node varchar)"
    )
    _insert(connection, "changed", changed)
    connection.execute(
        f"update raw_shopify.{table} as orders set id = changed.id, parent_id = changed.parent_id, node = changed.node "
        "from changed where orders.rowid = changed.row_id"
    )
    connection.execute(f"delete from raw_shopify.{table} where rowid in (select row_id from gone)")


def _envelope(row: dict[str, Any]) -> Envelope:
    consent = row["consent"]
    return Envelope(
        v=ENVELOPE_VERSION,
        received_at=row["received_at"],
        shop=row["shop"],
        source=row["source"],
        request_id=row["request_id"],
        index=row["index"],
        visitor_hash=row["visitor_hash"],
        user_agent=row["user_agent"],
        origin=row["origin"],
        gpc=row["gpc"],
        host_ok=row["host_ok"],
        consent=None if consent is None else msgspec.json.decode(consent, type=Consent),
        pixel_version=row["pixel_version"],
        event=msgspec.Raw(row["event"].encode()),
    )


def _has(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> bool:
    return bool(
        connection.execute(
            "select 1 from information_schema.tables where table_schema = $schema and table_name = $table",
            {"schema": schema, "table": table},
        ).fetchall()
    )


def _insert(connection: duckdb.DuckDBPyConnection, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
    rows = list(rows)
    if rows:
        connection.executemany(f"insert into {table} values ({', '.join('?' * len(rows[0]))})", rows)
