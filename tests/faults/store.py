"""A small simulated store for refreshes with faults: what it sends, and what must be in its data folder at the end."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import duckdb

from ingestion.data_folder import landing_folder, warehouse_file, workspace
from ingestion.experiments import load_experiments
from ingestion.landing import archived_parts, decode_envelope, read_lines, sealed_files
from ingestion.shops import load_shops
from ingestion.simulator.admin_api import AdminApi, Bucket, running_admin_api
from ingestion.simulator.admin_store import AdminStore
from ingestion.simulator.catalogue import COLLECTIONS, Catalogue, build_catalogue
from ingestion.simulator.shoppers import Simulation, simulate
from ingestion.sources.shopify_api import URL_VARIABLE
from ingestion.sources.shopify_token import token_variable
from serving.kept_versions import COUNT_VARIABLE, UNFINISHED
from serving.manifest import MANIFEST
from serving.publish import REMEMBERED, sha256
from serving.published import ANALYSTS_FILE, published_folder, read_current
from tests.comparison import differing_files
from tests.conftest import PROJECT
from tests.landing_files import land
from tests.questions import DEMO_SHOP, lines_of
from tests.warehouse import Warehouse, differences

SHOPS_FILE = PROJECT / "shops.toml"
PRODUCTS_PER_COLLECTION, DAYS = 5, 2
END = datetime(2026, 11, 1, tzinfo=UTC)
TOKEN = "token"
# About runs, not about events: when Shopify was asked, and results of earlier runs.
ABOUT_RUNS = ("operations.fetches", *(f"recommendations.{name}" for name in REMEMBERED))
OLD_FILES = 40
OLD_VERSIONS = ("20250101T000000.000Z", "20250102T000000.000Z", "20250103T000000.000Z")


@cache
def _catalogue() -> Catalogue:
    whole = build_catalogue(1)
    few = tuple(product for name in COLLECTIONS for product in whole.published(name)[:PRODUCTS_PER_COLLECTION])
    own = {product.id for product in few}
    companions = {product: other for product, other in whole.companions.items() if product in own and other.id in own}
    return replace(whole, products=few, companions=companions)


@cache
def _simulation() -> Simulation:
    shops = load_shops(SHOPS_FILE)
    experiments = load_experiments(PROJECT / "experiments.toml", shops)
    return simulate(shops[0], _catalogue(), 1, END, days=DAYS, experiments=experiments)


@cache
def all_lines() -> list[bytes]:
    """The landing lines, in the order in which they are received."""
    return list(lines_of(_simulation()))


class Store:
    """A data folder, and the Admin API that its refreshes query."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.admin = AdminStore(DEMO_SHOP, _catalogue(), _simulation().orders)
        self.api = AdminApi(self.admin, TOKEN, Bucket(maximum=20_000, restore_rate=1000))
        self._orders = dict(self.admin.orders)
        self.admin.orders.clear()
        for name in OLD_VERSIONS:  # so that every publication has one to remove
            (published_folder(data) / name).mkdir(parents=True)
            for file in (MANIFEST, *map(str, range(OLD_FILES))):
                (published_folder(data) / name / file).touch()

    def receive(self, part: int = 0, parts: int = 1) -> None:
        """Let the events and orders of one of `parts` periods arrive. part: its number, from 0."""
        lines = _share(all_lines(), part, parts)
        land(landing_folder(self.data), lines)
        self.admin.orders |= dict(_share(list(self._orders.items()), part, parts))

    @contextmanager
    def online(self) -> Iterator[str]:
        """Serve the Admin API; yields its URL."""
        with running_admin_api(self.api) as url:
            yield url


def environment(url: str) -> dict[str, str]:
    """The environment of a refresh that queries the Admin API at this URL."""
    return {
        "PIXELNOVA_SHOPS": str(SHOPS_FILE),
        URL_VARIABLE: url,
        token_variable(DEMO_SHOP): TOKEN,
        COUNT_VARIABLE: "2",
    }


def _share(items: list, part: int, parts: int) -> list:
    return items[len(items) * part // parts : len(items) * (part + 1) // parts]


def faults_of(data: Path, rebuilt: Path) -> list[str]:
    """What is wrong in a data folder after its last refresh; empty if everything is right.

    rebuilt: another data folder, in which one refresh has built everything from the same lines and orders.
    """
    return [*_lost_or_doubled(data), *_not_as_rebuilt(data, rebuilt), *_not_as_published(data), *_left_behind(data)]


def _lost_or_doubled(data: Path) -> Iterator[str]:
    sent = Counter(all_lines())
    archived = Counter(line + b"\n" for part in archived_parts(landing_folder(data)) for line in read_lines(part))
    if archived != sent:
        yield f"the archive lacks {(sent - archived).total()} lines and has {(archived - sent).total()} too many"
    keys = Counter((one.request_id, one.index) for one in map(decode_envelope, sent.elements()))
    with duckdb.connect(str(warehouse_file(data)), read_only=True) as connection:
        loaded = Counter(connection.execute("select request_id, index from raw_pixel.events").fetchall())
    if loaded != keys:
        yield f"raw_pixel.events lacks {(keys - loaded).total()} and has {(loaded - keys).total()} events too many"


def _not_as_rebuilt(data: Path, rebuilt: Path) -> Iterator[str]:
    one, other = (Warehouse(folder, SHOPS_FILE, load=False) for folder in (data, rebuilt))
    tables = [name for name in one.tables() if name not in ABOUT_RUNS]
    for table, rows in differences(one, other, tables).items():
        yield f"{table} differs from a rebuild: {rows}"
    for name in differing_files(data, rebuilt):
        if name != "runs.json":
            yield f"published {name} differs from that of a rebuild"


def _not_as_published(data: Path) -> Iterator[str]:
    published = read_current(data)
    for file in published.manifest.files:
        if sha256(published.folder / file.path) != file.sha256:
            yield f"published {file.path} is not what the manifest says"
    with duckdb.connect() as connection:
        connection.execute(f"attach '{published.folder / ANALYSTS_FILE}' as published (read_only)")
        connection.execute(f"attach '{warehouse_file(data)}' as warehouse (read_only)")
        connection.execute("use warehouse")
        for table in published.manifest.rows_by_table:
            [(rows,)] = connection.execute(
                f"select count(*) from ((from {table} except all from published.{table}) union all "
                f"(from published.{table} except all from {table}))"
            ).fetchall()
            if rows:
                yield f"published {table} differs from the warehouse by {rows} rows"


def _left_behind(data: Path) -> Iterator[str]:
    """Files that killed processes left and nothing removes, or that need manual steps."""
    left = [*published_folder(data).glob(f"{UNFINISHED}*"), *sealed_files(landing_folder(data)), *data.rglob("*.tmp")]
    left += [path for path in data.glob("dlt/*/load/normalized/*") if path.is_dir()]
    left += [workspace(data)] if workspace(data).exists() else []
    for path in left:
        yield f"{path.relative_to(data)} is left"
