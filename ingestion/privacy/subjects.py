"""The subject of a request: all identifiers of the person's current journey.

Reads the warehouse's orders, checkouts and identity map; without them, the subject is the identifiers in the request.
A browser that the person shared is included: all of its events are erased, to be safe, but no other customer's
identifiers. (The package of an access request leaves such a browser out: see ingestion/privacy/export.py.)
"""

from collections import defaultdict
from collections.abc import Sequence

import duckdb

from ingestion.privacy.identifiers import CLIENT, COLUMNS, CUSTOMER, ORDER, TOKEN, Identifier
from ingestion.privacy.requests import Request

_ORDERS, _ADMIN_ORDERS = "core.orders", "staging.stg_shopify__orders"
_CHECKOUTS, _JOURNEYS = "intermediate.int_checkout_events", "core.identity_map"
# Tables, and the kinds that they connect.
_LINKS = {
    _ORDERS: (ORDER, CUSTOMER, TOKEN, CLIENT),
    _ADMIN_ORDERS: (ORDER, CUSTOMER, TOKEN),
    _CHECKOUTS: (CUSTOMER, TOKEN, CLIENT),
}
# A journey has at most one customer. One of another customer is not the subject's, even if a browser or guest order is.
_JOURNEY = f"""
    insert into subjects
    with customers as (
        select request_id, list(value) as ids from subjects where kind = '{CUSTOMER}' group by request_id
    )
    select distinct subjects.request_id, subjects.shop, others.identifier_kind, others.identifier
    from subjects
    inner join {_JOURNEYS} as known
        on subjects.shop = known.shop and subjects.kind = known.identifier_kind and subjects.value = known.identifier
    inner join {_JOURNEYS} as others on known.shop = others.shop and known.journey_id = others.journey_id
    left join {_JOURNEYS} as owners
        on known.shop = owners.shop and known.journey_id = owners.journey_id and owners.identifier_kind = '{CUSTOMER}'
    left join customers on subjects.request_id = customers.request_id
    where owners.identifier is null or customers.ids is null or list_contains(customers.ids, owners.identifier)
"""
# A join per kind: one with `or` would compare every subject with every event.
_EVENTS = (
    "select request_id, count(distinct event_key) from ("
    + " union all ".join(
        f"""
        select subjects.request_id, events.event_key
        from subjects
        inner join intermediate.int_events as events
            on subjects.shop = events.shop and subjects.value = events.{COLUMNS[kind]}
        where subjects.kind = '{kind}'
        """
        for kind in (CLIENT, TOKEN, CUSTOMER)
    )
    + ") group by request_id"
)


def subjects_of(
    connection: duckdb.DuckDBPyConnection, requests: Sequence[Request]
) -> tuple[dict[str, list[Identifier]], dict[str, int]]:
    """All identifiers of each request's subject, and how many stored events have one of them, by request id."""
    connection.execute(
        "create or replace temp table subjects (request_id varchar, shop varchar, kind varchar, value varchar)"
    )
    connection.executemany(
        "insert into subjects values (?, ?, ?, ?)",
        [(request.request_id, request.shop, *one) for request in requests for one in request.identifiers]
        or [(None, None, None, None)],
    )
    present = {
        f"{schema}.{table}"
        for schema, table in connection.execute(
            "select table_schema, table_name from information_schema.tables"
        ).fetchall()
    }
    for orders in (_ORDERS, _ADMIN_ORDERS):
        if orders in present:
            _link(connection, orders, ORDER, (CUSTOMER, TOKEN))
    if _JOURNEYS in present:
        connection.execute(_JOURNEY)
    for _ in range(2):  # a customer's other orders; then what their checkouts lead to
        for table, kinds in _LINKS.items():
            if table in present:
                for kind in (CUSTOMER, TOKEN):
                    _link(connection, table, kind, [other for other in kinds if other != kind])
    found: dict[str, list[Identifier]] = defaultdict(list)
    for request_id, kind, value in connection.execute(
        "select distinct request_id, kind, value from subjects where value is not null order by all"
    ).fetchall():
        found[request_id].append(Identifier(kind, value))
    events = "intermediate.int_events" in present
    return dict(found), dict(connection.execute(_EVENTS).fetchall()) if events else {}


def _link(connection: duckdb.DuckDBPyConnection, table: str, kind: str, others: Sequence[str]) -> None:
    """Add the identifiers of other kinds found in the same rows as those of a kind."""
    for other in others:
        connection.execute(
            f"""
            insert into subjects
            select distinct subjects.request_id, subjects.shop, '{other}', linked.{COLUMNS[other]}
            from subjects
            inner join {table} as linked on subjects.shop = linked.shop and subjects.value = linked.{COLUMNS[kind]}
            where subjects.kind = '{kind}' and linked.{COLUMNS[other]} is not null
            """
        )
