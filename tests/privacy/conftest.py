"""The stores of people.py with everybody's events."""

from pathlib import Path

import pytest

from tests.conftest import built_once
from tests.privacy.people import SHOPS_FILE
from tests.privacy.warehouses import built
from tests.warehouse import Warehouse


@pytest.fixture(scope="session")
def shops_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both stores, without limits of retention."""
    file = tmp_path_factory.mktemp("people") / "shops.toml"
    file.write_text(SHOPS_FILE)
    return file


@pytest.fixture(scope="session")
def everyone(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Both stores with everybody's events, built; tests only read it."""

    def build(folder: Path) -> None:
        folder.mkdir()
        (folder / "shops.toml").write_text(SHOPS_FILE)
        built(folder / "data", folder / "shops.toml", lambda event: True)

    folder = built_once(tmp_path_factory, "everyone", build)
    return Warehouse(folder / "data", folder / "shops.toml", load=False)
