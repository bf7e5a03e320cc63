"""Figures about the data that show whether events are lost, missing or late.

Reads the warehouse through an open connection; orchestration/defs/checks.py compares them with limits.
"""

from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

import duckdb

from orchestration.health import Share

WEEKS, MIN_WEEKS = 8, 3  # earlier weeks whose same weekday a day is compared with
LATE_DAYS = 2  # newest days of a shop


class LineCounts(NamedTuple):
    """Lines of landing files by where they are now. quarantined: includes events put aside. waiting: not loaded yet."""

    acknowledged: int
    loaded: int
    quarantined: int
    waiting: int

    @property
    def are_complete(self) -> bool:
        """Whether every line is accounted for."""
        return self.acknowledged == self.loaded + self.quarantined + self.waiting


class Volume(NamedTuple):
    """Events of a shop's last whole day. usual: the median of the same weekday in the weeks before."""

    shop: str
    local_date: date
    events: int
    usual: float


def line_counts(connection: duckdb.DuckDBPyConnection, lines: Mapping[str, int], sealed: set[str]) -> LineCounts:
    """Count the lines of these landing files by where they are now.

    Args:
        lines: of each file, by its name.
        sealed: names of the landing files that wait to be loaded.
    """
    ledger = {
        name: (events, unreadable)
        for name, events, unreadable in connection.execute(
            "select landing_file, events, unreadable_lines from raw_pixel.landing_files "
            "where list_contains($files, landing_file)",
            {"files": list(lines)},
        ).fetchall()
    }
    return LineCounts(
        acknowledged=sum(lines.values()),
        loaded=sum(events for events, _ in ledger.values()),
        quarantined=sum(unreadable for _, unreadable in ledger.values()),
        waiting=sum(count for name, count in lines.items() if name not in ledger and name in sealed),
    )


def wrong_row_counts(connection: duckdb.DuckDBPyConnection, published: Mapping[str, int]) -> dict[str, str]:
    """The tables whose row counts differ between the published version and the warehouse, with both counts.

    Args:
        published: rows by table, such as core.orders.
    """
    rows = connection.execute(
        " union all ".join(f"select '{table}', count(*) from {table}" for table in published)
    ).fetchall()
    return {table: f"{published[table]:,} of {count:,} rows" for table, count in rows if count != published[table]}


def volumes(connection: duckdb.DuckDBPyConnection) -> list[Volume]:
    """The last whole day of each shop that has sent events for at least three weeks before it."""
    return [Volume(*row) for row in connection.execute(_VOLUMES).fetchall()]


def late_shares(connection: duckdb.DuckDBPyConnection) -> list[Share]:
    """The share of each shop's newest events that arrived over an hour after they happened."""
    return [Share(*row) for row in connection.execute(_LATE).fetchall()]


# By the newest event of all shops, so that a shop that has stopped sending has a last day without events.
_VOLUMES = f"""
with last_days as (
    select
        shops.shop,
        cast(timezone(shops.timezone, timezone('UTC', newest.received_at)) as date) - 1 as local_date
    from core.shops as shops
    cross join (select max(newest_received_at) as received_at from operations.event_volume) as newest
),
first_days as (
    select shop, min(local_date) as local_date from operations.event_volume group by shop
),
days as (
    select last_days.shop, last_days.local_date, weeks.ago, coalesce(volume.events, 0) as events
    from last_days
    cross join range({WEEKS} + 1) as weeks(ago)
    inner join first_days
        on first_days.shop = last_days.shop and first_days.local_date < last_days.local_date - cast(7 * ago as integer)
    left join operations.event_volume as volume
        on volume.shop = last_days.shop and volume.local_date = last_days.local_date - cast(7 * ago as integer)
)
select shop, local_date, max(events) filter (where ago = 0), median(events) filter (where ago > 0)
from days group by shop, local_date having count(*) filter (where ago > 0) >= {MIN_WEEKS} order by shop
"""
_LATE = f"""
select shop, sum(events_over_an_hour_late)::bigint, sum(events)::bigint
from operations.event_volume as days
where local_date > (
    select max(local_date) - {LATE_DAYS} from operations.event_volume as newest where newest.shop = days.shop
)
group by shop order by shop
"""
