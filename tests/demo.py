"""The demo's warehouse and its published version, built once for all test files that only read them."""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from serving.publish import publish
from serving.published import Published, read_current
from serving.recommenders.personal import recommend
from tests.questions import PROJECT, demo_warehouse
from tests.warehouse import Warehouse


@dataclass(frozen=True)
class Demo:
    """A built warehouse, and what was published from it."""

    warehouse: Warehouse
    published: Published

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.warehouse.data


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """Whichever worker comes first builds it."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent  # shared by all workers
    data = shared / "shared-demo"
    with (shared / "shared-demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (data / "published" / "current").exists():
            warehouse = demo_warehouse(data)
            recommend(warehouse.file)
            publish(warehouse.file, data)
    return Demo(Warehouse(data, PROJECT / "shops.toml", load=False), read_current(data))
