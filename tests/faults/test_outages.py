"""What a refresh depends on is gone: Shopify for a day, or the warehouse file."""

import os
import shutil

import pytest

from ingestion.data_folder import warehouse_file
from tests.faults.refresh_process import refresh
from tests.faults.store import Store, environment, faults_of

pytestmark = pytest.mark.long
NOBODY = "http://127.0.0.1:9"  # the discard port, where nothing listens
MANY = 10_000


def test_an_admin_api_that_is_down_for_a_day_delays_only_its_own_data(rebuilt, tmp_path):
    store, log = Store(tmp_path / "data"), tmp_path / "log"
    with store.online() as url:
        store.receive(0, 3)
        assert refresh(store.data, environment(NOBODY), log) == 1
        store.receive(1, 3)
        store.api.server_errors = MANY
        assert refresh(store.data, environment(url), log) == 1
        assert log.read_text().count("Everything else was refreshed and published, but:") == 2
        store.api.server_errors = 0
        store.receive(2, 3)
        assert refresh(store.data, environment(url), log) == 0, log.read_text()
    assert faults_of(store.data, rebuilt.data) == []


@pytest.fixture
def store(rebuilt, tmp_path):
    """A data folder in which everything is built."""
    made = Store(tmp_path / "data")
    made.receive()
    shutil.rmtree(made.data)
    shutil.copytree(rebuilt.data, made.data, symlinks=True)
    return made


def test_a_cut_warehouse_is_rebuilt_by_the_command_that_the_error_names(store, rebuilt, tmp_path):
    log, warehouse = tmp_path / "log", warehouse_file(store.data)
    size = warehouse.stat().st_size // 2
    os.truncate(warehouse, size)
    with store.online() as url:
        assert refresh(store.data, environment(url), log) == 1
        assert "is damaged" in log.read_text() and "Run `pixelnova refresh --full`" in log.read_text()
        assert warehouse.stat().st_size == size
        assert refresh(store.data, environment(url), log, "--full") == 0, log.read_text()
    assert faults_of(store.data, rebuilt.data) == []
    assert warehouse.with_name("warehouse.duckdb.damaged").stat().st_size == size


def test_a_lost_warehouse_is_rebuilt_by_an_ordinary_refresh(store, rebuilt, tmp_path):
    log = tmp_path / "log"
    warehouse_file(store.data).unlink()
    with store.online() as url:
        assert refresh(store.data, environment(url), log) == 0, log.read_text()
    assert faults_of(store.data, rebuilt.data) == []
