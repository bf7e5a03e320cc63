"""Puts aside events and shops that cannot be built, with the reason, in the raw tables.

Reads keys of events and names of shops; writes raw_pixel.unreadable_lines, the ledger, and raw_shops.put_aside.
"""

from collections.abc import Sequence
from pathlib import Path

import duckdb

from ingestion.warehouse_connection import connect


def put_aside_events(warehouse: Path, event_keys: Sequence[str], reason: str) -> int:
    """Move all copies of these events from the raw events to the quarantined lines; returns how many lines moved.

    Args:
        event_keys: md5 of shop and event id, as in staging.
        reason: shown to analysts in operations.quarantined_events.
    """
    with connect(warehouse) as connection:
        connection.execute("set timezone = 'UTC'")
        connection.begin()
        connection.execute(
            "create temp table moved as select landing_file, request_id, request_index from staging.stg_pixel__events "
            "where list_contains($keys, event_key)",
            {"keys": list(event_keys)},
        )
        chosen = (
            "exists (select 1 from moved where moved.landing_file = events.landing_file "
            "and moved.request_id = events.request_id and moved.request_index = events.index)"
        )
        connection.execute(
            "insert into raw_pixel.unreadable_lines by name "
            "select landing_file, event::varchar as line, $reason as reason, shop, received_at, "
            "'put aside' as _dlt_load_id, md5(concat_ws('|', landing_file, request_id, index)) as _dlt_id "
            f"from raw_pixel.events as events where {chosen}",
            {"reason": reason},
        )
        connection.execute(
            "update raw_pixel.landing_files as files set events = files.events - moved.lines, "
            "unreadable_lines = files.unreadable_lines + moved.lines "
            "from (select landing_file, count(*) as lines from raw_pixel.events as events "
            f"where {chosen} group by landing_file) as moved where files.landing_file = moved.landing_file"
        )
        [(lines,)] = connection.execute(f"select count(*) from raw_pixel.events as events where {chosen}").fetchall()
        connection.execute(f"delete from raw_pixel.events as events where {chosen}")
        connection.commit()
    return lines


def put_aside_shops(warehouse: Path, reasons: dict[str, str]) -> None:
    """Replace the set of shops that dbt leaves out of the build.

    Args:
        reasons: by shop, shown to analysts in operations.shops_put_aside; empty includes every shop again.
    """
    with connect(warehouse) as connection:
        connection.begin()
        connection.execute("delete from raw_shops.put_aside")
        for shop, reason in reasons.items():
            connection.execute(
                "insert into raw_shops.put_aside by name select $shop as shop, $reason as reason, "
                "now() as put_aside_at, 'put aside' as _dlt_load_id, md5($shop) as _dlt_id",
                {"shop": shop, "reason": reason},
            )
        connection.commit()


def shops_put_aside(warehouse: Path) -> dict[str, str]:
    """The shops left out of the build, each with the reason."""
    with connect(warehouse) as connection:
        try:
            return dict(connection.execute("select shop, reason from raw_shops.put_aside order by shop").fetchall())
        except duckdb.CatalogException:  # nothing has been loaded yet
            return {}
