"""Measures the warehouse: load and build of 100 thousand, 1 million and 10 million events, and of increments.

Every step runs in its own process with DuckDB limited to 3 GB; seconds, CPU and peak memory are that process's. The
load is compared with a bare `read_json` insert of the same files. Empty runs (nothing new) are measured around every
incremental run; the cost of an increment is its time above the median empty run.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.generated_events import write_landing_files
from tests.benchmarks.memory import peak_mb
from tests.conftest import PROJECT

MEMORY = "3GB"
INCREMENT = 10_000  # events of the increment that is the same for every history
SIZES = (100_000, 1_000_000, 10_000_000)

Figures = dict[str, Any]


def bare(data: Path) -> Figures:
    """Read the landing files into a table with DuckDB alone."""
    import duckdb

    from ingestion.landing import sealed_files
    from ingestion.sources.pixel import ENVELOPE_TYPES

    columns = ", ".join(f"\"{name}\": '{kind}'" for name, kind in ENVELOPE_TYPES.items())
    target = data / "bare.duckdb"
    with duckdb.connect(str(target)) as connection:
        connection.execute(f"set memory_limit = '{MEMORY}'")
        connection.execute(
            f"create table events as from read_json($files, format = 'newline_delimited', columns = {{{columns}}})",
            {"files": [str(file) for file in sealed_files(data / "landing")]},
        )
    target.unlink()
    return {}


def load(data: Path) -> Figures:
    """Load with dlt, then move files to the archive; timed separately."""
    from ingestion.data_folder import landing_folder, workspace
    from ingestion.landing import sealed_files
    from ingestion.sources.pixel import pixel_source
    from ingestion.warehouse import archive_loaded, not_loaded, open_pipeline

    sealed = sealed_files(landing_folder(data))
    begun = time.monotonic()
    open_pipeline("pixel", data).run(pixel_source(not_loaded(sealed, data), workspace(data)))
    loaded = time.monotonic()
    archive_loaded(sealed, data)
    return {"load_seconds": round(loaded - begun, 2), "archive_seconds": round(time.monotonic() - loaded, 2)}


def build(data: Path) -> Figures:
    """Build dbt's models, without tests."""
    from tests.warehouse import Warehouse

    warehouse = Warehouse(data, PROJECT / "shops.toml", load=False)  # its other sources were loaded by `new`
    begun = time.monotonic()
    results = warehouse.build()
    seconds = time.monotonic() - begun
    rows = {
        what: warehouse.query(f"select count(*) from intermediate.{table}")[0][0]
        for what, table in {
            "events_rebuilt": "int_events_rebuilt_this_run",
            "visits_rebuilt": "int_visits_this_run",
            "identifiers_visited": "int_identity_nodes_this_run",
        }.items()
    }
    slowest = sorted(results, key=lambda result: -result.execution_time)[:5]
    return {
        "build_seconds": round(seconds, 2),
        "rows": rows,
        "slowest": {result.node.name: round(result.execution_time, 2) for result in slowest},
    }


def new(data: Path) -> Figures:
    """Create an empty warehouse with the demo shop, and parse the dbt project, as before every run but the first."""
    from orchestration.runner import prepare_dbt
    from tests.warehouse import Warehouse

    Warehouse(data, PROJECT / "shops.toml")
    os.environ["PIXELNOVA_DATA"] = str(data)
    prepare_dbt()
    return {}


STEPS: dict[str, Callable[[Path], Figures]] = {step.__name__: step for step in (bare, load, build, new)}


def measured(step: str, data: Path) -> Figures:
    """Run a step in its own process."""
    environment = {**os.environ, "PIXELNOVA_MEMORY": MEMORY}
    command = [sys.executable, "-m", "tests.benchmarks.warehouse", "--step", step, str(data)]
    begun = time.monotonic()
    done = subprocess.run(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return {"process_seconds": round(time.monotonic() - begun, 2), **json.loads(done.stdout.splitlines()[-1])}


def run_of(data: Path) -> Figures:
    """Load and build the landed files."""
    loaded, built = measured("load", data), measured("build", data)
    print(f"  {loaded['load_seconds']:8.2f} s load {built['build_seconds']:8.2f} s build {built['rows']}", flush=True)
    return {"load": loaded, "build": built, "seconds": loaded["load_seconds"] + built["build_seconds"]}


def history(events: int, work: Path) -> Figures:
    """All measurements for a history of this many events."""
    print(f"{events:,} events", flush=True)
    data = work / "data"
    one_percent = max(events // 100, 1000)
    _, percent_files, increment_files = write_landing_files(
        data / "landing", work / "later", [events, one_percent, INCREMENT]
    )
    measured("new", data)
    found: Figures = {"events": events, "bare": measured("bare", data), "full": run_of(data)}
    empties = [run_of(data), run_of(data)]
    for name, files in (("one_percent", percent_files), ("ten_thousand", increment_files)):
        for file in files:
            file.rename(data / "landing" / file.name)
        found[name] = run_of(data)
        empties.append(run_of(data))
    found["empty_seconds"] = round(median(empty["seconds"] for empty in empties), 2)
    for name in ("full", "one_percent", "ten_thousand"):
        found[name]["above_empty"] = round(found[name]["seconds"] - found["empty_seconds"], 2)
    found["empties"] = [empty["seconds"] for empty in empties]
    return found


def ratios(histories: dict[int, Figures]) -> dict[str, float]:
    """The target figures, as ratios within this run."""
    found = {}
    for events, figures in histories.items():
        name = f"{events:,}"
        found[f"load / bare read_json insert, {name}"] = (
            figures["full"]["load"]["load_seconds"] / (figures["bare"]["step_seconds"])
        )
        found[f"1 % new / full, both above empty, {name}"] = (
            figures["one_percent"]["above_empty"] / figures["full"]["above_empty"]
        )
    sizes = sorted(histories)
    for small, large in pairwise(sizes):
        found[f"full build {large:,} / {small:,}, per event"] = (
            histories[large]["full"]["build"]["build_seconds"]
            / histories[small]["full"]["build"]["build_seconds"]
            * small
            / large
        )
        found[f"{INCREMENT:,} new on {large:,} / on {small:,}, above empty"] = (
            histories[large]["ten_thousand"]["above_empty"] / histories[small]["ten_thousand"]["above_empty"]
        )
        found[f"{INCREMENT:,} new on {large:,} / on {small:,}, whole run"] = (
            histories[large]["ten_thousand"]["seconds"] / histories[small]["ten_thousand"]["seconds"]
        )
    return {name: round(value, 3) for name, value in found.items()}


def main() -> None:
    """Measure, print, and write the figures to the file of --json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--step", nargs=2, metavar=("STEP", "DATA"))
    arguments = parser.parse_args()
    if arguments.step:
        step, data = arguments.step
        begun = time.monotonic()
        figures = STEPS[step](Path(data))
        usage = resource.getrusage(resource.RUSAGE_SELF)
        figures |= {
            "step_seconds": round(time.monotonic() - begun, 2),
            "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
            "peak_mb": peak_mb(),
        }
        print(json.dumps(figures))
        return
    histories = {}
    for events in arguments.sizes:
        with tempfile.TemporaryDirectory() as work:
            histories[events] = history(events, Path(work))
    result = {"memory_limit_of_duckdb": MEMORY, "histories": histories, "ratios": ratios(histories)}
    print(json.dumps(result["ratios"], indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
