"""Measures erasures on a history of a million events, compared with a refresh of few events and a full build.

Each step runs as in the warehouse benchmark: load and build, without Dagster and publication.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from ingestion.landing import sealed_files
from ingestion.privacy.erase import erase_pending
from ingestion.privacy.export import export_pending
from ingestion.privacy.identifiers import CUSTOMER, Identifier
from ingestion.privacy.proof import traces
from ingestion.privacy.purge import purge
from ingestion.privacy.requests import ERASE, EXPORT, new_request
from ingestion.privacy.suppression import Suppressions
from ingestion.shops import load_shops
from orchestration.build_state import mark_for_rebuild
from tests.benchmarks.generated_events import SHOP, write_landing_files
from tests.conftest import PROJECT
from tests.warehouse import Warehouse

EVENTS, NEWS = 1_000_000, 10_000
BATCHES = (1, 1000)  # customers erased at once
Figures = dict[str, Any]


def run(warehouse: Warehouse) -> float:
    """The seconds of a load and a build."""
    begun = time.monotonic()
    warehouse.load()
    warehouse.build()
    return round(time.monotonic() - begun, 1)


def erase(warehouse: Warehouse, customers: list[str]) -> Figures:
    """Erase customers in one run; seconds of each step."""
    for customer in customers:
        new_request(warehouse.data, SHOP, ERASE, [Identifier(CUSTOMER, customer)])
    moments = [time.monotonic()]
    erase_pending(warehouse.data, load_shops(PROJECT / "shops.toml"), mark_for_rebuild)
    moments.append(time.monotonic())
    run(warehouse)
    moments.append(time.monotonic())
    purge(warehouse.data, lambda: None)
    moments.append(time.monotonic())
    left = traces(warehouse.file, Suppressions(warehouse.data))
    moments.append(time.monotonic())
    assert not left, left
    names = ("erase", "load_and_build", "write_file_again", "look_for_traces")
    steps = {name: round(end - begin, 1) for name, begin, end in zip(names, moments, moments[1:], strict=False)}
    return {**steps, "seconds": round(moments[3] - moments[0], 1), "customers": len(customers)}


def measure(work: Path) -> Figures:
    """One history, a refresh of few events, an export for one person, then the erasures."""
    warehouse = Warehouse(work / "data", PROJECT / "shops.toml")
    _, news = write_landing_files(warehouse.landing, work / "later", [EVENTS, NEWS])
    found: Figures = {"events": EVENTS, "full": run(warehouse)}
    for file in news:
        file.rename(warehouse.landing / file.name)
    found["little_news"] = run(warehouse)
    assert not sealed_files(warehouse.landing)
    customers = [
        customer
        for (customer,) in warehouse.query(
            "select distinct customer_id from core.orders where customer_id is not null order by md5(customer_id)"
        )
    ]
    new_request(warehouse.data, SHOP, EXPORT, [Identifier(CUSTOMER, customers[0])])
    begun = time.monotonic()
    export_pending(warehouse.data)
    found["export_one"] = round(time.monotonic() - begun, 1)
    for size in BATCHES:
        found[f"erase_{size}"] = erase(warehouse, customers[:size])
        customers = customers[size:]
    found["ratio_to_little_news"] = round(found["erase_1000"]["seconds"] / found["little_news"], 2)
    found["ratio_to_full"] = round(found["erase_1000"]["seconds"] / found["full"], 2)
    return found


def main() -> None:
    """Print the figures, and write them to a file if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        figures = measure(Path(work))
    print(json.dumps(figures, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
