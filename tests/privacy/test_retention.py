"""Retention: old events expire, daily numbers of closed days are kept, and incremental runs equal a full build."""

from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest

from ingestion.landing import archived_parts
from ingestion.privacy.retention import DAILY, expire, raw_kept_since
from ingestion.shops import ShopsFileError, load_shops
from ingestion.warehouse import reset_ledger
from orchestration.build_state import mark_for_rebuild
from tests.landing_files import land, line
from tests.privacy.people import DAN, FIRST, OTHER_SHOP, SHOP, SHOPS_FILE, events
from tests.privacy.warehouses import copy_of, rebuilt
from tests.warehouse import Warehouse, differences

NOW = FIRST + timedelta(days=33)  # the first three of 20 days are older than 30 days


@pytest.fixture(scope="module")
def shops_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("retention") / "shops.toml"
    file.write_text(
        SHOPS_FILE.replace('currency = "EUR"', 'currency = "EUR"\nkeep_events_days = 30\nkeep_raw_days = 30', 1)
    )
    return file


@pytest.fixture(scope="module")
def expired(everyone, shops_file, tmp_path_factory) -> Warehouse:
    """After the expiry of one store's first days."""
    warehouse = copy_of(everyone, tmp_path_factory.mktemp("expired") / "data", shops_file)
    assert expire(warehouse.data, load_shops(shops_file), mark_for_rebuild, NOW) == 1
    assert expire(warehouse.data, load_shops(shops_file), mark_for_rebuild, NOW) == 0  # once a day
    warehouse.load()
    warehouse.build()
    return warehouse


def test_daily_rows_of_closed_days_stay(everyone, expired):
    for table in DAILY:
        rows = f"select * from {table} order by all"
        assert expired.query(rows) == everyone.query(rows), table
    first = f"select min(local_date) from core.sessions where shop = '{SHOP}'"
    assert everyone.query(first) == [(date(2026, 10, 1),)]
    assert expired.query(first) == [(date(2026, 10, 4),)]


def test_closed_days_are_kept_once_after_the_clock_went_back(everyone, shops_file, tmp_path):
    copy = copy_of(everyone, tmp_path / "clock", shops_file)
    for days in (0, -5, 1):
        expire(copy.data, load_shops(shops_file), mark_for_rebuild, NOW + timedelta(days=days))
        closed = max(days, 0)
        assert copy.query("select closed_until from kept.closed_days") == [(date(2026, 10, 20) + timedelta(closed),)]
    for table in (table.partition(".")[2] for table in DAILY):
        kept = copy.query(f"select * from kept.{table}")
        assert len(kept) == len(set(kept)), table
    assert copy.query("select count(*) from kept.daily_shop") == [(20,)]


def test_events_of_other_stores_stay(everyone, expired):
    count = f"select count(*), min(event_at) from core.pixel_events where shop = '{OTHER_SHOP}'"
    assert expired.query(count) == everyone.query(count)


def test_archive_has_no_older_day(expired):
    days = {part.parent.name for part in archived_parts(expired.landing) if part.parent.parent.name == f"shop={SHOP}"}
    assert min(days) == "received_date=2026-10-04"


@pytest.mark.long
def test_incremental_run_equals_a_full_build(expired, shops_file, tmp_path):
    different = differences(expired, rebuilt(expired, tmp_path / "whole", shops_file))
    assert not different, different


def test_full_refresh_keeps_events_that_are_missing_from_the_archive(expired, shops_file, tmp_path):
    copy = copy_of(expired, tmp_path / "copy", shops_file)
    count = "select shop, count(*), min(received_at) from raw_pixel.events group by shop order by shop"
    agents = "select user_agent from raw_pixel.user_agents"
    phone = {"id": "phone", "context": {"navigator": {"userAgent": "a phone"}}}
    land(copy.landing, [line(phone, shop=SHOP, received_at=datetime(2026, 10, 9, tzinfo=UTC))])
    copy.load()
    before, classified = copy.query(count), copy.query(agents)
    reset_ledger(copy.data, {SHOP: date(2026, 10, 10)})
    assert copy.query(agents) == classified == [("a phone",)]
    copy.load()
    assert copy.query(count) == before


def test_late_event_of_a_closed_day_changes_no_number_and_expires(expired, shops_file, tmp_path):
    late = copy_of(expired, tmp_path / "late", shops_file)
    [event, *_] = [event for event in events(SHOP) if event.person == DAN]
    event.body["id"] = "another"
    land(late.landing, [event.line()])
    expire(late.data, load_shops(shops_file), mark_for_rebuild, NOW + timedelta(days=1))
    late.load()
    late.build()
    for table in ("analytics.daily_shop", "operations.event_volume"):
        rows = f"select * from {table} order by all"
        assert late.query(rows) == expired.query(rows), table
    assert expire(late.data, load_shops(shops_file), mark_for_rebuild, NOW + timedelta(days=2)) == 1
    assert late.query("select count(*) from raw_pixel.events where event::varchar like '%another%'") == [(0,)]


def test_remaining_copy_of_an_expired_event_asks_for_a_full_build(everyone, shops_file, tmp_path):
    """An event without a time expires by the time received, so a copy that was received later remains."""
    copies = copy_of(everyone, tmp_path / "copies", shops_file)
    rebuilt_at = []
    for number, day in enumerate((0, 10)):
        event = {"id": "copied", "name": "page_viewed", "clientId": "somebody", "timestamp": "soon"}
        at = FIRST + timedelta(days=day)
        land(copies.landing, [line(event, shop=SHOP, received_at=at, request_id=f"r-{number}")])
        copies.load()
        again = copy_of(copies, tmp_path / f"expired-{number}", shops_file)
        expire(again.data, load_shops(shops_file), rebuilt_at.append, NOW)
    assert rebuilt_at == [tmp_path / "expired-1" / "warehouse.duckdb"]


def test_inactive_people_expire_and_their_orders_stay_without_them(everyone, shops_file, tmp_path):
    shops = [
        msgspec.structs.replace(shop, keep_events_days=None, keep_raw_days=None) for shop in load_shops(shops_file)
    ]
    shops[0] = msgspec.structs.replace(shops[0], keep_identity_days=30)
    copy = copy_of(everyone, tmp_path / "inactive", shops_file)
    people = f"select count(distinct journey_id) from core.sessions where shop = '{SHOP}'"
    money = f"select sum(gross_total_amount), count(*) from core.orders where shop = '{SHOP}'"
    before, amounts = copy.query(people), copy.query(money)
    expire(copy.data, shops, mark_for_rebuild, FIRST + timedelta(days=19 + 30))  # nobody is inactive for that long
    copy.load()
    assert copy.query("select count(*) from raw_pixel.events") == everyone.query(
        "select count(*) from raw_pixel.events"
    )
    expire(copy.data, shops, mark_for_rebuild, FIRST + timedelta(days=60))
    copy.load()
    copy.build()
    assert before > [(3,)] and copy.query(people) == [(0,)]
    assert copy.query(money) == amounts


@pytest.mark.parametrize("days", ["0", "29", "true", '"30"', "30.5"])
def test_days_are_checked(tmp_path, days):
    file = tmp_path / "shops.toml"
    file.write_text(SHOPS_FILE + f"keep_raw_days = {days}\n")
    with pytest.raises(ShopsFileError, match=r"keep_raw_days is .*write a whole number of days, 30 or more"):
        load_shops(file)


def test_days_beyond_the_calendar_are_refused(tmp_path):
    file = tmp_path / "shops.toml"
    file.write_text(SHOPS_FILE + "keep_raw_days = 36500\n")
    [_, shop] = load_shops(file)
    assert raw_kept_since([shop], NOW) == {OTHER_SHOP: date(1926, 11, 28)}
    file.write_text(SHOPS_FILE + "keep_raw_days = 999999\n")
    with pytest.raises(ShopsFileError, match=r"keep_raw_days is 999999: write at most 36500, or remove it"):
        load_shops(file)
