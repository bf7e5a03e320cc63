"""Lands the events of all test modules in this folder and builds them once, in the first worker that needs them.

A module `test_<topic>.py` has `EVENTS`, a list of pixel events; they belong to the shop `<topic>.myshopify.com`
(Europe/Berlin, EUR, unless the module overrides it in `SHOP`, lines of TOML). `MORE_SHOPS` are further shops by domain,
each with its lines of TOML and its events. `EXPERIMENTS` are its experiments, lines of TOML with `{shop}` for the
domain. All are received at RECEIVED_AT; a module's own `RECEIVED_AT` names exceptions, by event id. Its tests call
`store.query`, or read `published_stores`.
Events pass through the collector's own parser, so what it removes is missing here too.
"""

import importlib
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import msgspec
import pytest

from ingestion.collector.events import Request, parse_body
from ingestion.shops import Shop, load_shops
from serving.experiments.results import write_results
from serving.publish import publish
from serving.recommenders.personal import recommend
from tests.conftest import built_once
from tests.landing_files import land
from tests.warehouse import Warehouse

RECEIVED_AT = datetime(2026, 11, 24, 12, tzinfo=UTC)  # as_of of every shop, more than a day after the last event
SHOP = 'timezone = "Europe/Berlin"\ncurrency = "EUR"\n'


class Store:
    """The shop of one test module, in the warehouse that all modules share."""

    def __init__(self, warehouse: Warehouse, shop: str) -> None:
        self.warehouse, self.shop = warehouse, shop

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a query, with `{shop}` replaced by the shop's domain."""
        return self.warehouse.query(sql.replace("{shop}", self.shop))


def _modules() -> dict[str, ModuleType | SimpleNamespace]:
    """The test modules with events, by shop domain; further shops have an entry of their own."""
    modules: dict[str, ModuleType | SimpleNamespace] = {}
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        module = importlib.import_module(f"tests.stores.{path.stem}")
        if hasattr(module, "EVENTS"):
            modules[_domain(module.__name__)] = module
            for domain, (lines, events) in getattr(module, "MORE_SHOPS", {}).items():
                modules[domain] = SimpleNamespace(SHOP=lines, EVENTS=events)
    return modules


def _domain(module_name: str) -> str:
    return module_name.rpartition(".")[2].removeprefix("test_").replace("_", "-") + ".myshopify.com"


def _lines(shop: Shop, module: ModuleType | SimpleNamespace) -> Iterator[bytes]:
    received_at = getattr(module, "RECEIVED_AT", {})
    for number, event in enumerate(module.EVENTS):
        received = received_at.get(event.get("id"), RECEIVED_AT)
        request = Request(f"{shop.name}-{number}", received, shop, None, None, None, False)
        parsed = parse_body(msgspec.json.encode(event), request)
        assert not parsed.rejected, parsed.rejected
        yield from parsed.lines


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """One warehouse with all shops of this folder, built with dbt's own tests."""
    folder = built_once(tmp_path_factory, "stores", _build)
    return Warehouse(folder / "data", folder / "shops.toml", load=False)


def _build(folder: Path) -> None:
    modules, shops_file = _modules(), folder / "shops.toml"
    folder.mkdir()
    shops_file.write_text(
        "".join(
            f'[[shops]]\ndomain = "{domain}"\nname = "{domain}"\ningest_keys = ["key-{number:05}"]\n'
            f"{getattr(module, 'SHOP', SHOP)}"
            for number, (domain, module) in enumerate(modules.items())
        )
    )
    shops_file.with_name("experiments.toml").write_text(
        "".join(getattr(module, "EXPERIMENTS", "").replace("{shop}", domain) for domain, module in modules.items())
    )
    warehouse = Warehouse(folder / "data", shops_file)
    for shop in load_shops(shops_file):
        land(warehouse.landing, _lines(shop, modules[shop.domain]))
    warehouse.load()
    warehouse.build(with_tests=True)


@pytest.fixture(scope="session")
def published_stores(stores: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published copy of the data folder of all shops, with the tables that Python adds to the marts."""
    data = tmp_path_factory.mktemp("published_stores")
    warehouse = data / stores.file.name
    shutil.copy(stores.file, warehouse)
    recommend(warehouse)
    write_results(warehouse)
    publish(warehouse, data)
    return data


@pytest.fixture
def store(stores: Warehouse, request: pytest.FixtureRequest) -> Store:
    """The shop of the requesting module."""
    return Store(stores, _domain(request.module.__name__))
