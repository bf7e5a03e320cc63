"""Archived landing files are loaded again: those of a shop and some days, or all."""

from datetime import UTC, datetime

import pytest

from ingestion.data_folder import landing_folder, warehouse_file, workspace
from ingestion.landing import sealed_files
from ingestion.shops import load_shops
from ingestion.sources.pixel import pixel_source
from ingestion.warehouse import archive_loaded, not_loaded, open_pipeline
from ingestion.warehouse_connection import connect
from orchestration.build_state import needs_rebuild
from orchestration.reload import ReloadError, reload_days, reload_everything
from tests.landing_files import land, line

NOW = datetime(2026, 11, 29, tzinfo=UTC)
SHOPS = """
[[shops]]
domain = "a.myshopify.com"
name = "A"
timezone = "UTC"
currency = "EUR"
ingest_keys = ["key-of-shop-a"]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three loaded and archived landing files, a day each: one of shop a, one of a and b, one of b."""
    folder = tmp_path_factory.mktemp("reload")
    (folder / "shops.toml").write_text(SHOPS)
    for number, day_and_shops in enumerate([(20, "a"), (21, "ab"), (22, "b")]):
        day, shops = day_and_shops
        received = datetime(2026, 11, day, 12, tzinfo=UTC)
        events = [
            line({"id": f"{number}{name}", "name": "n"}, shop=f"{name}.myshopify.com", received_at=received)
            for name in shops
        ]
        land(landing_folder(folder), events)
    load(folder)
    return folder


@pytest.fixture
def shops(folder):
    return load_shops(folder / "shops.toml")


def load(data) -> int:
    """Load what is not in the ledger; returns the number of parts."""
    sealed = sealed_files(landing_folder(data))
    files = not_loaded(sealed, data)
    open_pipeline("pixel", data).run(pixel_source(files, workspace(data)))
    archive_loaded(sealed, data)
    return len(files)


def events(data) -> list:
    with connect(warehouse_file(data)) as connection:
        connection.execute("create schema if not exists intermediate")
        connection.execute(
            "create or replace table intermediate.int_landing_files_processed as select 'x' as fingerprint"
        )
        assert not needs_rebuild(warehouse_file(data), "x")
        rows = "select shop, landing_file, event::varchar from raw_pixel.events order by all"
        return connection.execute(rows).fetchall()


def test_whole_files_of_the_days_are_loaded_again_and_everything_is_rebuilt(folder, shops):
    before = events(folder)
    assert reload_days(folder, shops, "a.myshopify.com", ("2026-11-21", "2026-11-30"), NOW) == 1
    assert needs_rebuild(warehouse_file(folder), "x")
    assert len(events(folder)) == len(before) - 2
    assert load(folder) == 2  # the parts of both shops
    assert events(folder) == before


def test_everything_is_loaded_again(folder, shops):
    before = events(folder)
    assert reload_everything(folder, shops, NOW) == 3
    assert events(folder) == []
    assert load(folder) == 4
    assert events(folder) == before


@pytest.mark.parametrize(
    ("shop", "days", "message"),
    [
        ("a.myshopify.com", ("2026-11-22", "2026-11-30"), "The archive has no landing files of a.myshopify.com"),
        ("b.myshopify.com", ("2026-11-22", "2026-11-30"), "b.myshopify.com is not in shops.toml"),
        ("a.myshopify.com", ("yesterday", "2026-11-30"), "Write both days like 2026-11-22"),
    ],
)
def test_what_cannot_be_loaded_again_is_named_and_nothing_is_changed(folder, shops, shop, days, message):
    before = events(folder)
    with pytest.raises(ReloadError, match=message):
        reload_days(folder, shops, shop, days, NOW)
    assert not needs_rebuild(warehouse_file(folder), "x")
    assert events(folder) == before
