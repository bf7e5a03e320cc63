"""A shop with an Admin API: it is queried on every refresh, and only a changed answer leads to a build."""

import subprocess

import duckdb
import pytest

from ingestion.data_folder import landing_folder, warehouse_file
from ingestion.simulator.admin_api import AdminApi, Bucket, running_admin_api
from ingestion.simulator.admin_store import AdminStore
from ingestion.simulator.catalogue import build_catalogue
from serving.published import Published, read_current
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
    """Runs a refresh against a local Admin API, or another address; returns its process and the published version."""
    (tmp_path / "shops.toml").write_text(SHOPS)
    view = {"id": "1", "name": "page_viewed", "clientId": "c", "timestamp": "2026-11-22T10:00:00Z", "data": {}}
    land_events(landing_folder(tmp_path / "data"), DOMAIN, [view])
    api = AdminApi(AdminStore(DOMAIN, build_catalogue(1), []), "token", Bucket(maximum=20_000, restore_rate=1000))
    with running_admin_api(api) as url:

        def run(url: str = url) -> tuple[subprocess.CompletedProcess[str], Published]:
            env = {
                "PIXELNOVA_SHOPS": str(tmp_path / "shops.toml"),
                "PIXELNOVA_SHOPIFY_URL": url,
                "PIXELNOVA_SHOPIFY_TOKEN_A": "token",
            }
            done = pixelnova("refresh", data=tmp_path / "data", env=env, check=False)
            return done, read_current(tmp_path / "data")

        yield run


@pytest.mark.long
def test_unchanged_answers_build_nothing_and_without_answers_everything_else_is_refreshed(refresh, tmp_path):
    done, first = refresh()
    assert done.returncode == 0 and "Nothing has changed" not in done.stdout
    for _ in range(2):  # the second refresh appends to the log of fetches, which is not news for the third
        done, published = refresh()
        assert done.returncode == 0
        assert f"Nothing has changed since version {first.manifest.version}" in done.stdout
        assert published.manifest.version == first.manifest.version
    with duckdb.connect(str(warehouse_file(tmp_path / "data"))) as connection:
        connection.execute("delete from core.products")
    done, published = refresh(url="http://127.0.0.1:1")
    assert done.returncode == 1
    message = f"Everything else was refreshed and published, but: The Admin API of {DOMAIN} cannot"
    assert message in " ".join(done.stderr.split())
    assert published.manifest.version > first.manifest.version
    with published.connect() as marts:
        assert marts.execute("select count(*) > 0 from core.products").fetchall() == [(True,)]
        failed = marts.execute("select subject, error from operations.fetches where error <> ''").fetchall()
    assert [(subject, "cannot be reached" in error) for subject, error in failed] == [("deletions", True)]
