"""A shop with an Admin API: it is queried on every refresh, and only a changed answer leads to a build."""

import duckdb
import pytest

from ingestion.data_folder import landing_folder, warehouse_file
from ingestion.simulator.admin_api import AdminApi, Bucket, running_admin_api
from ingestion.simulator.admin_store import AdminStore
from ingestion.simulator.catalogue import build_catalogue
from serving.published import read_current
from tests.landing_files import land_events

DOMAIN = "a.myshopify.com"
SHOPS = f"""
[[shops]]
domain = "{DOMAIN}"
name = "A"
timezone = "UTC"
currency = "EUR"
ingest_keys = ["key-of-shop-a"]
"""


@pytest.fixture
def refresh(pixelnova, tmp_path):
    """Runs a refresh against a local Admin API; returns the output, and the version published after it."""
    (tmp_path / "shops.toml").write_text(SHOPS)
    view = {"id": "1", "name": "page_viewed", "clientId": "c", "timestamp": "2026-11-22T10:00:00Z", "data": {}}
    land_events(landing_folder(tmp_path / "data"), DOMAIN, [view])
    api = AdminApi(AdminStore(DOMAIN, build_catalogue(1), []), "token", Bucket(maximum=20_000, restore_rate=1000))
    with running_admin_api(api) as url:

        def run() -> tuple[str, str]:
            env = {
                "PIXELNOVA_SHOPS": str(tmp_path / "shops.toml"),
                "PIXELNOVA_SHOPIFY_URL": url,
                "PIXELNOVA_SHOPIFY_TOKEN_A": "token",
            }
            output = pixelnova("refresh", data=tmp_path / "data", env=env).stdout
            return output, read_current(tmp_path / "data").manifest.version

        yield run


def test_unchanged_answers_build_nothing_and_a_changed_warehouse_is_rebuilt(refresh, tmp_path):
    output, first = refresh()
    assert "Nothing has changed" not in output
    for _ in range(2):  # the second refresh appends to the log of fetches, which is not news for the third
        output, version = refresh()
        assert f"Nothing has changed since version {first}" in output
        assert version == first
    with duckdb.connect(str(warehouse_file(tmp_path / "data"))) as connection:
        connection.execute("delete from core.products")
    output, version = refresh()
    assert version > first
    with read_current(tmp_path / "data").connect() as marts:
        assert marts.execute("select count(*) > 0 from core.products").fetchall() == [(True,)]
