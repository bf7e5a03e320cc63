"""Warehouses of the people in people.py: built, copied and rebuilt."""

import shutil
from collections.abc import Callable
from pathlib import Path

from tests.landing_files import land
from tests.privacy.people import OTHER_SHOP, SHOP, Event, events
from tests.warehouse import Warehouse


def built(data: Path, shops_file: Path, is_kept: Callable[[Event], bool]) -> Warehouse:
    """Both stores with the events that are kept."""
    warehouse = Warehouse(data, shops_file)
    for shop in (SHOP, OTHER_SHOP):
        land(warehouse.landing, [event.line() for event in events(shop) if is_kept(event)])
    warehouse.load()
    warehouse.build()
    return warehouse


def copy_of(warehouse: Warehouse, folder: Path, shops: Path) -> Warehouse:
    """A copy of its data folder, which tests may change."""
    shutil.copytree(warehouse.data, folder)
    return Warehouse(folder, shops, load=False)


def rebuilt(warehouse: Warehouse, folder: Path, shops: Path) -> Warehouse:
    """A full build of the same raw tables."""
    whole = copy_of(warehouse, folder, shops)
    whole.build("--full-refresh")
    return whole
