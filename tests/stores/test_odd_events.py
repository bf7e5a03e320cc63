"""No accepted value makes the SQL fail: each event is used, or refused with a reason."""

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestion.collector.events import BodyError, Request, parse_body
from tests.conftest import PROJECT
from tests.landing_files import land
from tests.stores.conftest import RECEIVED_AT
from tests.stores.odd_events import odd_events
from tests.warehouse import Warehouse


def _accepted(events, shop):
    """The landing lines of the events that the collector stores."""
    lines = []
    for number, event in enumerate(events):
        request = Request(f"r{number}", RECEIVED_AT, shop, None, None, None, False)
        try:
            lines += parse_body(msgspec.json.encode(event), request).lines
        except BodyError:
            continue
    return lines


@pytest.fixture(scope="module")
def staging(stores):
    """An empty table of raw events, and dbt's staging view on it."""
    import duckdb

    [(sql,)] = stores.query("select sql from duckdb_views() where view_name = 'stg_pixel__events'")
    [(table,)] = stores.query(
        "select sql from duckdb_tables() where schema_name = 'raw_pixel' and table_name = 'events'"
    )
    with duckdb.connect() as connection:
        connection.execute(
            "attach ':memory:' as warehouse; use warehouse; create schema raw_pixel; create schema staging"
        )
        connection.execute("set timezone = 'UTC'")
        connection.execute(table)
        connection.execute("create table staging.stg_shops__put_aside (shop varchar)")
        connection.execute(sql)
        yield connection


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(events=st.lists(odd_events(), min_size=1, max_size=30))
def test_staging_uses_or_refuses_every_event(staging, shop, events):
    lines = _accepted(events, shop)
    staging.execute("delete from raw_pixel.events")
    for line in lines:
        envelope = msgspec.json.decode(line)
        staging.execute(
            "insert into raw_pixel.events by name select 's.myshopify.com' as shop, "
            "timestamptz '2026-11-24 12:00:00Z' as received_at, timestamptz '2026-11-24 13:00:00Z' as load_began_at, "
            "$id as request_id, 0 as index, false as gpc, $event::json as event",
            {"id": envelope["request_id"], "event": msgspec.json.encode(envelope["event"]).decode()},
        )
    rows = staging.execute(
        "select event_at, event_id, event_key, rejection_reason, md5(columns(*)::varchar) "
        "from staging.stg_pixel__events"
    ).fetchall()
    assert len(rows) == len(lines)
    for event_at, event_id, event_key, reason, *_ in rows:
        assert (reason is None) == (event_at is not None)
        assert reason or (event_id and event_key)


@pytest.mark.long
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(events=st.lists(odd_events(), min_size=100, max_size=100))
def test_whole_refreshes_of_odd_events(tmp_path_factory, shop, events):
    """A hundred odd events at a time, with all dbt tests: nothing fails, and no event is lost."""
    warehouse = Warehouse(tmp_path_factory.mktemp("odd"), PROJECT / "shops.toml")
    lines = _accepted(events, shop)
    land(warehouse.landing, lines)
    warehouse.load()
    warehouse.build(with_tests=True)
    staged = "from staging.stg_pixel__events"
    assert warehouse.query(f"select count(*) {staged}") == [(len(lines),)]
    distinct = warehouse.query(f"select count(distinct event_id) {staged} where rejection_reason is null")
    assert warehouse.query("select count(*) from core.pixel_events") == distinct
