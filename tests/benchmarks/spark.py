"""Measures a full build and an increment of the same events on DuckDB and on a Spark cluster of two workers.

Both run on this machine, one after the other: DuckDB with two threads and 3 GB, Spark with two executors of one core
and 5 GB each. CPU seconds of Spark are those of all its processes. The rows of every table are counted on both.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestration.spark_exchange import send_raw_tables
from tests.benchmarks.generated_events import write_landing_files
from tests.benchmarks.warehouse import INCREMENT, measured
from tests.conftest import PROJECT
from tests.spark import cluster
from tests.spark.warehouse import SparkWarehouse, models_of
from tests.warehouse import Warehouse

EVENTS = 10_000_000
# By default, the cluster is set up for many small statements: no generated code, one compiler, few partitions.
LARGE = {
    "spark.executor.memory": "5g",
    "spark.executor.extraJavaOptions": "-XX:+UseParallelGC",
    "spark.sql.codegen.wholeStage": "true",
    "spark.sql.shuffle.partitions": "16",
}

Figures = dict[str, Any]


class Engines:
    """The same data folder on both engines."""

    def __init__(self, data: Path, spark: SparkWarehouse) -> None:
        """data: its warehouse has the shop and no events."""
        self.spark, self.data = spark, data
        self.warehouse = Warehouse(data, PROJECT / "shops.toml", load=False)

    def compare(self, everything: bool) -> Figures:
        """Load what has landed and build it on both; seconds and CPU seconds of each, and tables that differ in size.

        Args:
            everything: send all events to Spark, instead of those of the last load.
        """
        measured("load", self.data)
        built = measured("build", self.data)
        print(f"  DuckDB: {built['build_seconds']} s, {built['cpu_seconds']} CPU s", flush=True)
        server, folder = self.spark.server, self.spark.folder
        sent = self._timed(lambda: send_raw_tables(server, self.warehouse.file, folder, everything))
        on_spark = self._timed(self.spark.build)
        print(f"  Spark: {on_spark['seconds']} s, {on_spark['cpu_seconds']} CPU s", flush=True)
        results = json.loads((self.spark.folder / "target" / "run_results.json").read_text())["results"]
        slowest = sorted(results, key=lambda result: -result["execution_time"])[:10]
        return {
            "duckdb": built,
            "sent": sent,
            "spark": on_spark
            | {"slowest": {one["unique_id"].split(".")[-1]: round(one["execution_time"], 1) for one in slowest}},
            "rows": self._compare_rows(),
        }

    def _timed(self, work: Callable[[], object]) -> Figures:
        before, begun = cpu_seconds(self.spark.cluster), time.monotonic()
        work()
        seconds, cpu = time.monotonic() - begun, cpu_seconds(self.spark.cluster) - before
        return {"seconds": round(seconds, 1), "cpu_seconds": round(cpu, 1)}

    def _compare_rows(self) -> Figures:
        names = models_of(self.warehouse, with_views=False)
        counts = " union all ".join(f"select '{name}' as name, count(*) from {name}" for name in names)
        duckdb, spark = dict(self.warehouse.query(counts)), dict(self.spark.server.query(counts))
        different = {name: [duckdb[name], spark[name]] for name in names if duckdb[name] != spark[name]}
        return {"tables": len(names), "rows": sum(duckdb.values()), "different": different}


def cpu_seconds(running: cluster.Cluster) -> float:
    """The CPU seconds so far of a cluster's processes, with the executors, which belong to the workers' groups."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            values = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(values[2]) in running.pids:
            ticks += int(values[11]) + int(values[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def size_of(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def main() -> None:
    """Measure, print, and write the figures to the file of --json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--events", type=int, default=EVENTS)
    arguments = parser.parse_args()
    if problem := cluster.missing_tool():
        parser.error(problem)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        data = work / "data"
        _, later = write_landing_files(data / "landing", work / "later", [arguments.events, INCREMENT])
        measured("new", data)
        running = cluster.start(work / "spark", settings=LARGE)
        try:
            engines = Engines(data, SparkWarehouse(running, work / "exchange"))
            figures = {"events": arguments.events, "full": engines.compare(everything=True)}
            for file in later:
                file.rename(data / "landing" / file.name)
            figures["ten_thousand"] = engines.compare(everything=False)
            figures["mb"] = {
                "raw Parquet": size_of(work / "exchange" / "raw") >> 20,
                "Iceberg tables": size_of(work / "spark" / "tables") >> 20,
                "warehouse.duckdb": engines.warehouse.file.stat().st_size >> 20,
            }
        finally:
            running.stop()
    print(json.dumps(figures, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
