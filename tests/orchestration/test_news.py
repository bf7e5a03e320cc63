"""Whether a refresh has anything to do: each input that changes is news, and nothing else is."""

from datetime import UTC, datetime

import pytest

from orchestration import code_version
from orchestration.news import (
    CATALOGUES,
    CODE,
    EXPERIMENTS,
    LANDING,
    PUBLISHED,
    SHOPIFY,
    SHOPS,
    WAREHOUSE,
    inputs_on_disk,
    last_refresh,
    news,
    remember,
)
from tests.landing_files import land, line

SHOPS_TOML = """
[[shops]]
domain = "a.myshopify.com"
name = "A"
timezone = "UTC"
currency = "EUR"
ingest_keys = ["key-of-shop-a"]
catalogue = "products.csv"
"""


@pytest.fixture
def shops(tmp_path):
    file = tmp_path / "shops.toml"
    file.write_text(SHOPS_TOML)
    (tmp_path / "products.csv").write_text("Handle,Title\na,A\n")
    return file


@pytest.fixture
def data(tmp_path, shops):
    """A data folder as a complete refresh leaves it."""
    folder = tmp_path / "data"
    version = folder / "published" / "20261128T120000.000Z"
    version.mkdir(parents=True)
    (folder / "published" / "current").symlink_to(version.name)
    (folder / "warehouse.duckdb").write_bytes(b"tables")
    remember(folder, shops, inputs_on_disk(folder, shops), "raw")
    return folder


def test_after_a_complete_refresh_there_is_no_news(data, shops):
    assert news(data, shops) == []


def test_before_the_first_refresh_everything_is_news(tmp_path, shops):
    assert news(tmp_path / "empty", shops)


def _land(data, shops):
    land(data / "landing", [line({"id": "1"})])


def _edit_shops(data, shops):
    shops.write_text(SHOPS_TOML.replace("EUR", "USD"))


def _edit_catalogue(data, shops):
    (shops.parent / "products.csv").write_text("Handle,Title\na,B\n")


def _write_experiments(data, shops):
    (shops.parent / "experiments.toml").write_text("holdouts = []\n")


def _lose_catalogue(data, shops):
    (shops.parent / "products.csv").unlink()


def _write_warehouse(data, shops):
    (data / "warehouse.duckdb").write_bytes(b"other tables")


def _lose_warehouse(data, shops):
    (data / "warehouse.duckdb").unlink()


def _lose_publication(data, shops):
    (data / "published" / "current").unlink()


def _restore_archive(data, shops):
    part = data / "landing" / "archive" / "shop=a.myshopify.com" / "received_date=2026-11-28"
    part.mkdir(parents=True)
    (part / "events-20261128T120000.000000Z-1.jsonl.zst").write_bytes(b"")


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        (_land, LANDING),
        (_restore_archive, LANDING),
        (_edit_shops, SHOPS),
        (_edit_catalogue, CATALOGUES),
        (_write_experiments, EXPERIMENTS),
        (_lose_catalogue, CATALOGUES),
        (_write_warehouse, WAREHOUSE),
        (_lose_warehouse, WAREHOUSE),
        (_lose_publication, PUBLISHED),
    ],
)
def test_each_input_that_changes_is_news(data, shops, change, changed):
    change(data, shops)
    assert news(data, shops) == [changed]


def test_other_code_is_news(data, shops, tmp_path, monkeypatch):
    model = tmp_path / "model.sql"
    model.write_text("select 1")
    monkeypatch.setattr(code_version, "project_files", lambda: [model])
    monkeypatch.setattr(code_version, "PROJECT_ROOT", tmp_path)
    assert news(data, shops) == [CODE]


def test_a_shop_with_an_admin_api_is_always_news(data, shops, monkeypatch):
    monkeypatch.setenv("PIXELNOVA_SHOPIFY_TOKEN_A", "token")
    assert SHOPIFY in news(data, shops)


def test_what_changes_during_a_refresh_is_news_for_the_next(data, shops):
    read = inputs_on_disk(data, shops)
    _edit_shops(data, shops)
    _edit_catalogue(data, shops)
    _land(data, shops)
    remember(data, shops, read, "raw")
    assert news(data, shops) == [SHOPS, CATALOGUES, LANDING]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"ended_at": 1', '{"ended_at": "", "inputs": [], "raw": ""}'])
def test_a_damaged_file_means_that_everything_is_news(data, shops, content):
    (data / "last_refresh.json").write_text(content)
    assert last_refresh(data) is None
    assert news(data, shops)


def test_the_file_says_when_the_refresh_ended(data, shops):
    before = datetime.now(UTC).replace(microsecond=0)
    remember(data, shops, inputs_on_disk(data, shops), "raw")
    assert before <= datetime.fromisoformat(last_refresh(data).ended_at) <= datetime.now(UTC)
