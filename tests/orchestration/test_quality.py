"""Figures about the data: each is right for healthy data, and otherwise shows what is wrong."""

from datetime import date, datetime, timedelta

import duckdb
import pytest

from orchestration.health import Share
from orchestration.quality import Volume, late_shares, line_counts, volumes, wrong_row_counts

NEWEST = datetime(2026, 11, 29, 23, 30)  # a Sunday, UTC; in Tokyo it is Monday
SATURDAY = date(2026, 11, 28)


@pytest.fixture
def connection():
    with duckdb.connect() as opened:
        opened.execute("create schema raw_pixel; create schema operations; create schema core")
        opened.execute("create table core.shops (shop varchar, timezone varchar)")
        opened.execute(
            "create table operations.event_volume (shop varchar, local_date date, events bigint, "
            "events_over_an_hour_late bigint, newest_received_at timestamp)"
        )
        opened.execute(
            "create table raw_pixel.landing_files (landing_file varchar, events bigint, unreadable_lines bigint)"
        )
        yield opened


def add_days(connection, shop: str, timezone: str, events: dict[date, int], late: int = 0) -> None:
    connection.execute("insert into core.shops values (?, ?)", [shop, timezone])
    for day, count in events.items():
        connection.execute(
            "insert into operations.event_volume values (?, ?, ?, ?, ?)", [shop, day, count, late, NEWEST]
        )


def test_every_line_is_loaded_quarantined_or_waiting(connection):
    connection.execute("insert into raw_pixel.landing_files values ('a', 7, 1), ('of another run', 5, 0)")
    found = line_counts(connection, {"a": 8, "b": 3}, sealed={"b"})
    assert found == (11, 7, 1, 3) and found.are_complete
    assert line_counts(connection, {}, sealed=set()).are_complete


def test_a_missing_line_is_detected(connection):
    connection.execute("insert into raw_pixel.landing_files values ('a', 6, 1)")
    assert not line_counts(connection, {"a": 8}, sealed={"a"}).are_complete
    assert not line_counts(connection, {"gone": 3}, sealed={"a"}).are_complete


def test_rows_that_are_not_published_are_counted(connection):
    connection.execute("create table core.orders as from range(5)")
    assert wrong_row_counts(connection, {"core.orders": 5, "core.shops": 0}) == {}
    assert wrong_row_counts(connection, {"core.orders": 4, "core.shops": 0}) == {"core.orders": "4 of 5 rows"}


def test_the_last_whole_day_is_compared_with_the_same_weekday(connection):
    daily = {SATURDAY - timedelta(days=n): 10 for n in range(1, 70)}
    weekly = {SATURDAY - timedelta(days=7 * n): 90 + n for n in range(1, 9)}
    today = {SATURDAY: 40, SATURDAY + timedelta(days=1): 3}
    add_days(connection, "utc", "UTC", {**daily, **weekly, **today})
    assert volumes(connection) == [Volume("utc", SATURDAY, 40, 94.5)]


def test_the_last_whole_day_is_that_of_the_shops_timezone(connection):
    sundays = {SATURDAY + timedelta(days=1 - 7 * n): 50 for n in range(6)}
    add_days(connection, "tokyo", "Asia/Tokyo", sundays)
    assert volumes(connection) == [Volume("tokyo", date(2026, 11, 29), 50, 50)]


def test_a_shop_that_has_stopped_has_no_events_on_its_last_day(connection):
    days = {SATURDAY - timedelta(days=n): 30 for n in range(3, 60)}
    add_days(connection, "silent", "UTC", days)
    assert volumes(connection) == [Volume("silent", SATURDAY, 0, 30)]


def test_a_young_shop_is_not_compared(connection):
    add_days(connection, "young", "UTC", {SATURDAY - timedelta(days=n): 30 for n in range(21)})
    assert volumes(connection) == []


def test_late_events_are_those_of_the_newest_days(connection):
    add_days(connection, "utc", "UTC", {SATURDAY - timedelta(days=n): 10 for n in range(5)}, late=4)
    assert late_shares(connection) == [Share("utc", 8, 20)]
