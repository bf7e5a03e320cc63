"""When a full rebuild is needed, and when not."""

import duckdb
import pytest

from orchestration.build_state import fingerprint, mark_for_rebuild, needs_rebuild


def warehouse_of(tmp_path, timezone="Europe/Berlin", name="A", channel="email"):
    file = tmp_path / "shops.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("create schema if not exists raw_shops")
        connection.execute(
            "create or replace table raw_shops.shops (domain text, timezone text, currency text, name text)"
        )
        connection.execute("insert into raw_shops.shops values ('a', ?, 'EUR', ?)", [timezone, name])
        connection.execute("create or replace table raw_shops.hosts as select 'a' as shop, 'a' as host")
        connection.execute("create or replace table raw_shops.channels (shop text, value text, channel text)")
        connection.execute("insert into raw_shops.channels values ('a', 'club', ?)", [channel])
    return file


def warehouse(tmp_path, *fingerprints):
    file = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("create schema intermediate")
        connection.execute("create table intermediate.int_landing_files_processed (fingerprint varchar)")
        for fingerprint in fingerprints:
            connection.execute("insert into intermediate.int_landing_files_processed values (?)", [fingerprint])
    return file


def test_fingerprint_depends_on_time_zone_and_channels_but_not_on_the_name(tmp_path):
    rules = fingerprint(warehouse_of(tmp_path))
    assert fingerprint(warehouse_of(tmp_path, timezone="Europe/London")) != rules
    assert fingerprint(warehouse_of(tmp_path, channel="sms")) != rules
    assert fingerprint(warehouse_of(tmp_path, name="B")) == rules


def test_same_fingerprint_builds_incrementally(tmp_path):
    assert not needs_rebuild(warehouse(tmp_path, "rules", "rules"), "rules")


@pytest.mark.parametrize("fingerprints", [(), ("other",), ("rules", "other")])
def test_other_or_missing_fingerprints_need_a_rebuild(tmp_path, fingerprints):
    assert needs_rebuild(warehouse(tmp_path, *fingerprints), "rules")


def test_new_warehouse_needs_a_rebuild(tmp_path):
    assert needs_rebuild(tmp_path / "new.duckdb", "rules")


def test_mark_for_rebuild_is_idempotent(tmp_path):
    file = warehouse(tmp_path, "rules")
    mark_for_rebuild(file)
    mark_for_rebuild(file)
    assert needs_rebuild(file, "rules")


def test_mark_for_rebuild_drops_marts_but_keeps_history_and_raw_tables(tmp_path):
    file = warehouse(tmp_path, "rules")
    with duckdb.connect(str(file)) as connection:
        connection.execute("create schema recommendations; create schema core; create schema raw_shopify")
        connection.execute(
            "create table recommendations.of_last_year (x int); create view core.orders_seen as select 1"
        )
        connection.execute("create table recommendations.evaluation_history (x int)")
        connection.execute("create table raw_shopify.products (x int)")
    mark_for_rebuild(file)
    with duckdb.connect(str(file)) as connection:
        left = connection.execute("select table_name from information_schema.tables order by 1").fetchall()
    assert left == [("evaluation_history",), ("products",)]
