"""Measures what the effectiveness of recommendations and experiments add to a full build of 3 million events.

A tenth of the events are exposures to an experiment; some of the exposed sessions see lists and click in them. Sums
the times of the models that only these two need and of the results, and compares them with the rest.
"""

import argparse
import json
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from ingestion.experiments import Experiment, assigned_variation, load_experiments
from ingestion.shops import load_shops
from serving.experiments.results import write_results
from tests.benchmarks.generated_events import EXPERIMENT, SHOP, write_landing_files
from tests.conftest import PROJECT
from tests.warehouse import Warehouse

EVENTS = 3_000_000
EXPERIMENTS = f"""
[[experiments]]
shop = "{SHOP}"
key = "{EXPERIMENT}"
name = "Lists or none"
primary_metrics = ["conversion"]
variations = [{{ key = "control", shows = "nothing" }}, {{ key = "treatment", shows = "default" }}]
phases = [{{ start = 2023-01-01, coverage = 1, weights = [0.5, 0.5] }}]
"""
MEASURED = {
    "impressions",
    "impression_items",
    "clicks",
    "effectiveness",
    "product_effectiveness",
    "product_segments",
    "int_list_events",
    "int_attributed_outcomes",
}


def is_measured(node: Any) -> bool:
    """Whether only effectiveness or experiments need this model."""
    return node.name in MEASURED or "experiments" in node.fqn


def variation_of(experiment: Experiment, unit: str) -> str:
    """The variation that the snippet would have assigned."""
    variation = assigned_variation(experiment, experiment.phases[0], unit, None)
    assert variation, unit
    return variation.key


def measure(events: int, work: Path) -> dict[str, Any]:
    """Land, load and build the events once."""
    shops_file = work / "shops.toml"
    shops_file.write_text((PROJECT / "shops.toml").read_text())
    (work / "experiments.toml").write_text(EXPERIMENTS)
    [experiment] = load_experiments(work / "experiments.toml", load_shops(shops_file))
    warehouse = Warehouse(work / "data", shops_file)
    write_landing_files(warehouse.landing, work, [events], assigned=partial(variation_of, experiment))
    warehouse.load()
    begun = time.monotonic()
    nodes = warehouse.build()
    build_seconds = time.monotonic() - begun
    begun = time.monotonic()
    sentences = write_results(warehouse.file)
    results_seconds = time.monotonic() - begun
    models = sum(node.execution_time for node in nodes if is_measured(node.node))
    added = models + results_seconds
    rows = {
        table: warehouse.query(f"select count(*) from {table}")[0][0]
        for table in ("experiments.exposures", "recommendations.impressions", "recommendations.clicks")
    }
    slowest = sorted((node for node in nodes if is_measured(node.node)), key=lambda node: -node.execution_time)
    return {
        "events": events,
        "rows": rows,
        "build_seconds": round(build_seconds, 1),
        "models_seconds": round(models, 1),
        "results_seconds": round(results_seconds, 1),
        "added_share": round(added / (sum(node.execution_time for node in nodes) - models), 3),
        "slowest": {node.node.name: round(node.execution_time, 2) for node in slowest[:6]},
        "sentences": sentences,
    }


def main() -> None:
    """Measure, print, and write the figures to the file of --json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--events", type=int, default=EVENTS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        figures = measure(arguments.events, Path(work))
    print(json.dumps(figures, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
