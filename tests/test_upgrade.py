"""Upgrading: this checkout refreshes a warehouse of the previous release without manual steps."""

import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingestion.data_folder import landing_folder
from ingestion.landing import sealed_files
from ingestion.shops import Shop
from ingestion.simulator.admin_api import AdminApi, Bucket, running_admin_api
from ingestion.simulator.admin_store import AdminStore
from ingestion.simulator.catalogue import build_catalogue
from ingestion.simulator.shoppers import simulate
from ingestion.sources.shopify_api import URL_VARIABLE
from ingestion.sources.shopify_token import token_variable
from orchestration.code_version import fingerprint
from serving.analytics.store import Stores
from serving.published import Published, read_current
from tests.browser import missing
from tests.comparison import differing_tables
from tests.conftest import PROJECT
from tests.questions import DEMO_SHOP, SEED
from tests.warehouse import Warehouse, differences

_RELEASE = re.compile(r"^## \d+\.\d+\.\d+ \(.*, commit ([0-9a-f]{40})\)$", re.M)
HISTORY = "recommendations.evaluation_history"
OF_RUNS = {"operations.loads", "operations.fetches", HISTORY}  # tables about the runs, which differ
END = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"  # lists use the days before the last received event


@pytest.fixture(scope="module")
def old_code(tmp_path_factory) -> Path:
    """The tree of the newest release in CHANGELOG.md."""
    commit = _RELEASE.search((PROJECT / "CHANGELOG.md").read_text())[1]
    try:
        done = subprocess.run(["git", "-C", str(PROJECT), "archive", commit], capture_output=True)
    except FileNotFoundError:
        missing("git is missing: apt-get install git")
    if done.returncode:
        missing(f"The history does not have commit {commit} of the previous release: git fetch --unshallow")
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture
def shopify(shop: Shop, monkeypatch) -> None:
    """The demo's Admin API, for the code of both releases."""
    catalogue = build_catalogue(SEED)
    orders = simulate(shop, catalogue, SEED, datetime.fromisoformat(END).replace(tzinfo=UTC)).orders
    store = AdminStore(DEMO_SHOP, catalogue, orders)
    with running_admin_api(AdminApi(store, "token", Bucket(maximum=20_000, restore_rate=1000))) as url:
        monkeypatch.setenv(URL_VARIABLE, url)
        monkeypatch.setenv(token_variable(DEMO_SHOP), "token")
        yield


def until(days_ago: int) -> str:
    """The end of a simulation, this many days before END."""
    return f"{datetime.fromisoformat(END) - timedelta(days=days_ago):%Y-%m-%d}"


@pytest.mark.long
def test_a_warehouse_of_the_previous_release_is_upgraded_by_a_refresh(old_code, shopify, pixelnova, tmp_path):
    data, rebuilt = tmp_path / "data", tmp_path / "rebuilt"

    def old_pixelnova(*arguments: str) -> None:
        command = [sys.executable, "-m", "orchestration.cli", "--data", str(data), *arguments]
        environment = {**os.environ, "PYTHONPATH": str(old_code)}
        subprocess.run(command, cwd=old_code, env=environment, check=True, timeout=600)

    old_pixelnova("simulate", "--days", "14", "--end", until(2))
    old_pixelnova("refresh")
    before = read_current(data)
    tested = history(before)
    assert tested and before.manifest.rows_by_table["core.orders"] > 100
    old_pixelnova("simulate", "--days", "1", "--end", until(1))  # waits for the new code
    assert sealed_files(landing_folder(data))
    pixelnova("simulate", "--days", "1", "--end", END, data=data)
    pixelnova("refresh", data=data)
    upgraded = read_current(data)
    assert upgraded.manifest.version > before.manifest.version
    assert upgraded.manifest.code.fingerprint == fingerprint()
    assert {file.path: sha256(upgraded.folder / file.path) for file in upgraded.manifest.files} == {
        file.path: file.sha256 for file in upgraded.manifest.files
    }

    shutil.copytree(landing_folder(data), landing_folder(rebuilt))
    pixelnova("refresh", data=rebuilt)
    ours, theirs = (Warehouse(folder, PROJECT / "shops.toml", load=False) for folder in (data, rebuilt))
    assert differences(ours, theirs).keys() <= OF_RUNS
    assert differing_tables(upgraded, read_current(rebuilt)).keys() <= OF_RUNS
    assert history(upgraded) == tested | history(read_current(rebuilt))  # a rebuild cannot recreate it

    pixelnova("rollback", before.manifest.version, data=data)
    shown = Stores(data).newest()  # as the dashboard and the API open what the old code published
    assert (shown.version, shown.shop(DEMO_SHOP).has_events) == (before.manifest.version, True)


def history(published: Published) -> set[tuple]:
    """The backtests of all refreshes."""
    with published.connect() as connection:
        return {tuple(map(str, row)) for row in connection.execute(f"from {HISTORY}").fetchall()}


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
