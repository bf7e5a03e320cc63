"""When everything is built anew, and when not."""

import duckdb
import pytest

from orchestration.build_state import build_anew, fingerprint, must_build_anew


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
        for one in fingerprints:
            connection.execute("insert into intermediate.int_landing_files_processed values (?)", [one])
    return file


def test_another_time_zone_or_channel_is_another_rule_and_another_name_is_not(tmp_path):
    rules = fingerprint(warehouse_of(tmp_path))
    assert fingerprint(warehouse_of(tmp_path, timezone="Europe/London")) != rules
    assert fingerprint(warehouse_of(tmp_path, channel="sms")) != rules
    assert fingerprint(warehouse_of(tmp_path, name="B")) == rules


def test_what_was_built_by_these_rules_goes_on(tmp_path):
    assert not must_build_anew(warehouse(tmp_path, "rules", "rules"), "rules")


@pytest.mark.parametrize("fingerprints", [(), ("other",), ("rules", "other")])
def test_what_was_built_by_other_rules_or_never_to_the_end_is_built_anew(tmp_path, fingerprints):
    assert must_build_anew(warehouse(tmp_path, *fingerprints), "rules")


def test_a_new_warehouse_is_built_anew(tmp_path):
    assert must_build_anew(tmp_path / "new.duckdb", "rules")


def test_building_anew_once_asked_for_is_not_forgotten(tmp_path):
    file = warehouse(tmp_path, "rules")
    build_anew(file)
    build_anew(file)
    assert must_build_anew(file, "rules")


def test_a_mart_that_nothing_makes_any_more_is_gone_and_what_is_remembered_stays(tmp_path):
    file = warehouse(tmp_path, "rules")
    with duckdb.connect(str(file)) as connection:
        connection.execute("create schema recommendations; create schema core; create schema raw_shopify")
        connection.execute(
            "create table recommendations.of_last_year (x int); create view core.orders_seen as select 1"
        )
        connection.execute("create table recommendations.evaluation_history (x int)")
        connection.execute("create table raw_shopify.products (x int)")
    build_anew(file)
    with duckdb.connect(str(file)) as connection:
        left = connection.execute("select table_name from information_schema.tables order by 1").fetchall()
    assert left == [("evaluation_history",), ("products",)]
