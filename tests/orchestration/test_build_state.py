"""When everything is built anew, and when not."""

import duckdb
import pytest

from ingestion.shops import load_shops
from orchestration.build_state import build_anew, fingerprint, must_build_anew

SHOP = """
[[shops]]
domain = "a.myshopify.com"
name = "A"
timezone = "{timezone}"
currency = "EUR"
ingest_keys = ["{key}"]
"""


def shops(tmp_path, timezone="Europe/Berlin", key="key-of-the-shop"):
    file = tmp_path / "shops.toml"
    file.write_text(SHOP.format(timezone=timezone, key=key))
    return load_shops(file)


def warehouse(tmp_path, *fingerprints):
    file = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("create schema intermediate")
        connection.execute("create table intermediate.int_landing_files_processed (fingerprint varchar)")
        for one in fingerprints:
            connection.execute("insert into intermediate.int_landing_files_processed values (?)", [one])
    return file


def test_another_time_zone_is_another_rule_and_another_key_is_not(tmp_path):
    rules = fingerprint(shops(tmp_path))
    assert fingerprint(shops(tmp_path, timezone="Europe/London")) != rules
    assert fingerprint(shops(tmp_path, key="another-key")) == rules


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
