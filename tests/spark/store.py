"""Small stores whose events reach nearly every table, for comparing Spark with DuckDB: each model costs Spark seconds.

The demo store with its Admin API, the three stores of hostile_events.py with a catalogue file, all with experiments,
and the store of crafted_events.py. Their landing lines are cut into a first part and increments, in which some lines
arrive late and some again.
"""

import random
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from ingestion.data_folder import workspace
from ingestion.experiments import experiments_file, load_experiments
from ingestion.quarantine import put_aside_shops
from ingestion.shops import load_shops
from ingestion.simulator.admin_api import AdminApi, Bucket, running_admin_api
from ingestion.simulator.admin_store import AdminStore
from ingestion.simulator.catalogue import build_catalogue
from ingestion.simulator.shoppers import Simulation, simulate
from ingestion.sources.catalogue import catalogue_source
from ingestion.sources.catalogue_files import CatalogueFiles
from ingestion.sources.shopify import Settings, shopify_source
from ingestion.sources.shopify_api import URL_VARIABLE, admin_apis
from ingestion.sources.shopify_token import token_variable
from ingestion.warehouse import known_products, open_pipeline
from tests.hostile_events import EXPERIMENTS_FILE, SHOPS, SHOPS_FILE, StreamEvent, landing_lines, streams
from tests.landing_files import land, line
from tests.questions import DEMO_SHOP, END, PROJECT, SEED, lines_of
from tests.spark import crafted_events
from tests.test_incremental import CATALOGUE, LIKE_MINDED, REGULAR
from tests.warehouse import Warehouse

DAYS = 8
STREAMS = 2
INCREMENTS = 3
# Rules so low that a small store has rows in the tables of rhythms, bundles and pooled groups; see test_incremental.py.
RULES = (
    "--vars",
    "{max_identifiers_per_journey: 60, bot_session_hours: 3, ease_max_products: 5, cohort_min_people: 2, "
    "bundle_min_orders: 1, reorder_min_intervals: 1, reorder_lapsed_after: 9999, ranking_min_cases: 2, "
    "evaluation_min_cases: 1, evaluation_min_history: 1, repurchase_min_buyers: 2, warm_session_hours: 480, "
    "rider_view_share: 0.5}",
)


@dataclass(frozen=True)
class Stores:
    """Their shops.toml, the demo's simulation, and the landing lines of the first build and of each increment."""

    shops: Path
    simulation: Simulation
    first: list[bytes]
    increments: list[list[bytes]]

    def warehouse(self, data: Path) -> Warehouse:
        """A DuckDB warehouse, loaded with everything for the first build."""
        warehouse = Warehouse(data, self.shops)
        land(warehouse.landing, self.first)
        warehouse.load()
        self._load_admin_api(warehouse)
        file = self.shops.parent / "catalogue.csv"
        file.write_text(CATALOGUE)
        files = CatalogueFiles(next(iter(SHOPS)), (file,))
        open_pipeline("catalogue", data).run(catalogue_source([files]))
        put_aside_shops(warehouse.file, {"aside.myshopify.com": "its rows fail a test"})
        return warehouse

    def _load_admin_api(self, warehouse: Warehouse) -> None:
        """Fetch the demo's products and orders, and once more after a product was deleted and orders were refunded."""
        shops = load_shops(self.shops)
        store = AdminStore(DEMO_SHOP, build_catalogue(SEED), self.simulation.orders)
        changed = END + timedelta(hours=1)
        refunded = [
            replace(order, refunded_at=changed, refunded_cents=order.total_cents // (number + 1))
            for number, order in enumerate(self.simulation.orders[:6])
        ]
        known = known_products if warehouse.file.exists() else None
        wanted = Settings(
            orders_of=frozenset([DEMO_SHOP]),
            known_products=lambda shop: known(warehouse.data, shop) if known else set(),
            workspace=workspace(warehouse.data),
        )
        later = AdminStore(DEMO_SHOP, build_catalogue(SEED), [*refunded, *self.simulation.orders[6:]])
        later.delete_product(list(later.products)[-1], changed)
        for version in (store, later):
            with (
                running_admin_api(AdminApi(version, "token", Bucket(maximum=20_000, restore_rate=1000))) as url,
                pytest.MonkeyPatch.context() as patch,
            ):
                patch.setenv(URL_VARIABLE, url)
                patch.setenv(token_variable(DEMO_SHOP), "token")
                open_pipeline("shopify", warehouse.data).run(shopify_source(admin_apis(shops), wanted))


def make_stores(folder: Path, days: int = DAYS) -> Stores:
    """Write shops.toml and experiments.toml into the folder, and generate the lines."""
    folder.mkdir(parents=True, exist_ok=True)
    shops = folder / "shops.toml"
    shops.write_text((PROJECT / "shops.toml").read_text() + SHOPS_FILE + crafted_events.SHOPS_FILE)
    experiments_file(shops).write_text((PROJECT / "experiments.toml").read_text() + EXPERIMENTS_FILE)
    known = load_shops(shops)
    demo = next(shop for shop in known if shop.domain == DEMO_SHOP)
    experiments = load_experiments(experiments_file(shops), known)
    simulation = simulate(demo, build_catalogue(SEED), SEED, END, days=days, experiments=experiments)
    first_shop = next(iter(SHOPS))
    lines = [*lines_of(simulation), *_hostile_lines(), *crafted_events.crafted_lines()]
    lines += [line(event, shop=first_shop) for event in REGULAR] + LIKE_MINDED
    rng = random.Random(SEED)
    parts: list[list[bytes]] = [[] for _ in range(INCREMENTS + 1)]
    for number, one in enumerate(lines):
        late = rng.randint(1, INCREMENTS)
        parts[late if rng.random() < 0.06 else 0].append(one)
        if number % 40 == 0:
            parts[late].append(one)
    return Stores(shops, simulation, parts[0], parts[1:])


def _hostile_lines() -> list[bytes]:
    found: list[bytes] = []

    @settings(
        max_examples=STREAMS,
        derandomize=True,
        phases=[Phase.generate],
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(stream=streams)
    def draw(stream: list[StreamEvent]) -> None:
        found.extend(landing_lines(stream))

    draw()
    return found
