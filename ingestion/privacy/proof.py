"""Searches every table of the warehouse for suppressed identifiers; none may be left."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import duckdb

from ingestion.privacy.identifiers import CLIENT, CUSTOMER, ORDER, PATHS, TOKEN, identifier
from ingestion.privacy.suppression import Suppressions

_KINDS = {
    "client_id": CLIENT,
    "checkout_token": TOKEN,
    "customer_id": CUSTOMER,
    "order_id": ORDER,
    "order_gid": ORDER,
    "identifier": None,  # its kind is in the column identifier_kind
}
_RAW_ORDERS = {ORDER: "$.id", CUSTOMER: "$.customer.id", TOKEN: "$.checkoutToken"}


class Trace(NamedTuple):
    """A column with suppressed identifiers, and how many different ones."""

    table: str
    column: str
    identifiers: int


def traces(warehouse: Path, suppressions: Suppressions) -> list[Trace]:
    """The columns of the warehouse that contain suppressed identifiers; reads every identifier once."""
    if not suppressions:
        return []
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        found = []
        for table, column, sql in _queries(connection):
            values = ((shop, identifier(kind, text)) for shop, kind, text in connection.execute(sql).fetchall() if shop)
            count = sum(one is not None and suppressions.contains(shop, one) for shop, one in values)
            if count:
                found.append(Trace(table, column, count))
        return found


def _queries(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, str, str]]:
    """For each column with identifiers: its table, its name, and a query for shop, kind and value."""
    columns = connection.execute(
        "select table_schema || '.' || table_name as relation, list(column_name) from information_schema.columns "
        "inner join information_schema.tables using (table_schema, table_name) "
        "where table_type = 'BASE TABLE' group by all order by all"
    ).fetchall()
    for table, names in columns:
        if "shop" not in names:
            continue
        for name in sorted(_KINDS.keys() & set(names)):
            kind = "identifier_kind" if _KINDS[name] is None else f"'{_KINDS[name]}'"
            yield table, name, f"select distinct shop, {kind}, {name} from {table} where {name} is not null"
        paths = {("raw_pixel.events", "event"): PATHS, ("raw_shopify.orders", "node"): _RAW_ORDERS}
        for (relation, column), kinds in paths.items():
            if table == relation:
                for kind, path in kinds.items():
                    value = f"json_extract_string({column}, '{path}')"
                    yield (
                        table,
                        column,
                        f"select distinct shop, '{kind}', {value} from {table} where {value} is not null",
                    )
