"""Compares the builds of two checkouts from the same raw data: every mart and every published file.

    python -m tests.equal_marts load IN          load the data sets (demo, retail, clicks, hostile streams), once
    python -m tests.equal_marts build IN OUT     build and publish them, with the code of this checkout
    python -m tests.equal_marts diff OUT OTHER   print what differs; exit code 1 if anything does

To check that a change alters no number, run `build` before and after it.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings

from ingestion.data_folder import warehouse_file, workspace
from ingestion.experiments import experiments_file
from ingestion.shops import load_shops
from ingestion.simulator.admin_api import AdminApi, Bucket, running_admin_api
from ingestion.simulator.admin_store import AdminStore
from ingestion.simulator.catalogue import build_catalogue
from ingestion.sources.shopify import Settings, shopify_source
from ingestion.sources.shopify_api import URL_VARIABLE, admin_apis
from ingestion.sources.shopify_token import token_variable
from ingestion.warehouse import open_pipeline
from serving.experiments.results import write_results
from serving.publish import publish
from serving.recommenders.personal import recommend
from tests.comparison import differing_files
from tests.hostile_events import EXPERIMENTS_FILE, SHOPS_FILE, StreamEvent, landing_lines, streams
from tests.landing_files import land, land_events
from tests.questions import PROJECT, SEED, demo_lines, demo_simulation
from tests.real_events import online_retail_orders, yoochoose_clicks
from tests.warehouse import MARTS, Warehouse, differing_rows

SHARED = Path(os.environ.get("PIXELNOVA_SHARED_DATA", PROJECT / ".." / "shared" / "data"))
REAL_SHOPS = "".join(
    f'[[shops]]\ndomain = "{name}.myshopify.com"\nname = "{name}"\ntimezone = "Europe/London"\ncurrency = "GBP"\n'
    f'ingest_keys = ["key-of-{name}"]\n'
    for name in ("retail", "clicks")
)

examples = settings(
    max_examples=8,
    derandomize=True,
    phases=[Phase.generate],
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def load(folder: Path) -> None:
    """Create one loaded, unbuilt warehouse per data set."""
    folder.mkdir(parents=True)
    _load_demo(Warehouse(folder / "demo", PROJECT / "shops.toml"))
    shops = folder / "real.toml"
    shops.write_text(REAL_SHOPS)
    real = Warehouse(folder / "real", shops)
    land_events(real.landing, "retail.myshopify.com", online_retail_orders(_only("online_retail/*.parquet")))
    land_events(real.landing, "clicks.myshopify.com", yoochoose_clicks(_only("rsc15_100k/*train_full.txt")))
    real.load()
    shops = folder / "hostile.toml"
    shops.write_text(SHOPS_FILE)
    experiments_file(shops).write_text(EXPERIMENTS_FILE)
    hostile = Warehouse(folder / "hostile", shops)

    @examples
    @given(stream=streams)
    def land_stream(stream: list[StreamEvent]) -> None:
        lines = landing_lines(stream)
        if lines:
            land(hostile.landing, lines)

    land_stream()
    hostile.load()


def _load_demo(warehouse: Warehouse) -> None:
    land(warehouse.landing, demo_lines())
    warehouse.load()
    shops = load_shops(PROJECT / "shops.toml")
    demo = shops[0]
    store = AdminStore(demo.domain, build_catalogue(SEED), demo_simulation().orders)
    with running_admin_api(AdminApi(store, "token", Bucket(maximum=20_000, restore_rate=1000))) as url:
        os.environ |= {URL_VARIABLE: url, token_variable(demo.domain): "token"}
        wanted = Settings(orders_of=frozenset([demo.domain]), workspace=workspace(warehouse.data))
        open_pipeline("shopify", warehouse.data).run(shopify_source(admin_apis(shops), wanted))


def _only(pattern: str) -> Path:
    [found] = SHARED.glob(pattern)
    return found


def build(inputs: Path, outputs: Path) -> None:
    """Build and publish every data set."""
    for name in sorted(_data_sets(inputs)):
        data = outputs / name
        data.mkdir(parents=True)
        shutil.copyfile(warehouse_file(inputs / name), warehouse_file(data))
        warehouse = Warehouse(data, PROJECT / "shops.toml", load=False)
        warehouse.build()
        recommend(warehouse.file)
        write_results(warehouse.file)
        publish(warehouse.file, data)


def diff(outputs: Path, others: Path) -> int:
    """Print the differences between two builds; returns the number of differing data sets, tables and files."""
    found = [f"{name} is in one of them only" for name in sorted(_data_sets(outputs) ^ _data_sets(others))]
    for name in sorted(_data_sets(outputs) & _data_sets(others)):
        left, right = (Warehouse(path / name, PROJECT, load=False) for path in (outputs, others))
        differing = (*_differing_marts(left, right), *differing_files(left.data, right.data))
        found += [f"{name}: {one}" for one in differing]
    print(*found, sep="\n")
    return len(found)


def _differing_marts(left: Warehouse, right: Warehouse) -> Iterator[str]:
    of_left, of_right = ({name for name in side.tables() if name.split(".")[0] in MARTS} for side in (left, right))
    yield from (f"{table} is in one of them only" for table in sorted(of_left ^ of_right))
    comparable = []
    for table in sorted(of_left & of_right):
        if left.table(f"from {table} limit 0")[0] == right.table(f"from {table} limit 0")[0]:
            comparable.append(table)
        else:
            yield f"{table} has other columns; its rows are not compared"
    for table, rows in differing_rows(left, right, comparable).items():
        yield "\n    ".join((table, *map(str, rows)))


def _data_sets(folder: Path) -> set[str]:
    """The names of the folders with a warehouse."""
    return {path.parent.name for path in folder.glob("*/warehouse.duckdb")}


if __name__ == "__main__":
    command, *folders = sys.argv[1:]
    sys.exit({"load": load, "build": build, "diff": diff}[command](*map(Path, folders)) and 1)
