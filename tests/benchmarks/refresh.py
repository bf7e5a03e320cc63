"""Measures what a refresh costs: the first one, one without changes, and one with few changes.

Each command is a separate process; CPU seconds are those of its whole tree, user and system. For each refresh
that builds, dbt alone also builds the same state, from a copy of the data folder.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from ingestion.landing import sealed_files
from tests.benchmarks.generated_events import write_landing_files
from tests.conftest import PROJECT
from tests.landing_files import land
from tests.questions import demo_lines

NEWS = 50  # events
HISTORY = 1_000_000
DBT = [Path(sys.executable).parent / "dbt", "build", "--quiet", "--project-dir", "dbt_project"]
DBT += ["--profiles-dir", "dbt_project", "--exclude-resource-type", "unit_test", "--exclude", "tag:thorough"]

Figures = dict[str, Any]


def cpu_of(command: list[Any], data: Path) -> float:
    """The CPU seconds of a command and all its children."""
    environment = {**os.environ, "PIXELNOVA_DATA": str(data), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
    child = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{command} ended with {child.returncode}: {output.decode()[-2000:]}")
    return usage.ru_utime + usage.ru_stime


def refresh(data: Path) -> float:
    """The CPU seconds of a refresh."""
    return cpu_of([sys.executable, "-m", "orchestration.cli", "refresh"], data)


def dbt_alone(data: Path, work: Path) -> float:
    """The CPU seconds of dbt's build of what is loaded, on a copy."""
    copy = work / "copy"
    copy.mkdir()
    shutil.copyfile(data / "warehouse.duckdb", copy / "warehouse.duckdb")
    target = PROJECT / "dbt_project" / "target" / "dagster" / "partial_parse.msgpack"
    (work / "target").mkdir(exist_ok=True)
    shutil.copyfile(target, work / "target" / target.name)
    seconds = cpu_of([*DBT, "--target-path", work / "target"], copy)
    shutil.rmtree(copy)
    return seconds


def demo_round(lines: list[bytes], work: Path) -> Figures:
    """A first refresh of the demo's events, one without news, and one with 50 events."""
    data = work / "data"
    land(data / "landing", lines[:-NEWS])
    found = {"first": refresh(data), "dbt_after_first": dbt_alone(data, work), "no_news": refresh(data)}
    land(data / "landing", lines[-NEWS:])
    found |= {"little_news": refresh(data), "dbt_after_little_news": dbt_alone(data, work)}
    shutil.rmtree(data)
    return found


def large_round(events: int, work: Path) -> Figures:
    """A first refresh of a large history, one without news, and one with 1 % more."""
    data = work / "data"
    _, later = write_landing_files(data / "landing", work / "later", [events, events // 100])
    assert sealed_files(data / "landing")
    found = {"first": refresh(data), "dbt_after_first": dbt_alone(data, work), "no_news": refresh(data)}
    for file in later:
        file.rename(data / "landing" / file.name)
    found |= {"one_percent": refresh(data), "dbt_after_one_percent": dbt_alone(data, work)}
    shutil.rmtree(data)
    return found


def ratios(demo: Figures, large: Figures | None) -> dict[str, float]:
    """The target figures, as ratios within this run."""
    found = {
        "no news / first": demo["no_news"] / demo["first"],
        f"{NEWS} new events / first": demo["little_news"] / demo["first"],
        "first / dbt build alone": demo["first"] / demo["dbt_after_first"],
        f"{NEWS} new events / dbt build alone": demo["little_news"] / demo["dbt_after_little_news"],
    }
    if large:
        found |= {
            "large history: no news / first": large["no_news"] / large["first"],
            "large history: 1 % new / first": large["one_percent"] / large["first"],
            "large history: first / dbt build alone": large["first"] / large["dbt_after_first"],
            "large history: 1 % new / dbt build alone": large["one_percent"] / large["dbt_after_one_percent"],
        }
    return {name: round(value, 3) for name, value in found.items()}


def main() -> None:
    """Measure, print, and write the figures to a file if one is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--history", type=int, default=HISTORY, help="events of the large history; 0 leaves it out")
    arguments = parser.parse_args()
    lines, began_at = list(demo_lines()), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        demo_round(lines, work)  # dbt parses the project once; that is not counted
        rounds = [demo_round(lines, work) for _ in range(arguments.rounds)]
        large = large_round(arguments.history, work) if arguments.history else None
    demo = {name: round(median(one[name] for one in rounds), 2) for name in rounds[0]}
    result = {
        "demo_events": len(lines),
        "cpu_seconds": {"demo": demo, "large": large and {name: round(value, 1) for name, value in large.items()}},
        "ratios": ratios(demo, large),
        "minutes": round((time.monotonic() - began_at) / 60, 1),
    }
    print(json.dumps(result, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
