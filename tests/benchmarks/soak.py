"""Runs everything at once for minutes: collector under load, refreshes, analysts, read API and dashboard.

Real processes over real HTTP and files. At the end, every acknowledged event must be in the warehouse exactly once, no
read may have failed, and memory of the servers, disk and published versions must be bounded: the disk by the events.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import duckdb

from ingestion.data_folder import landing_folder, warehouse_file
from ingestion.landing import decode_envelope, read_lines, sealed_files
from ingestion.shops import load_shops
from orchestration.processes import collector_counts
from serving.api.keys import add_key, keys_file
from serving.kept_versions import COUNT_VARIABLE, kept_versions
from serving.published import read_current
from tests.benchmarks.collector import resident_megabytes, tree
from tests.benchmarks.soak_traffic import Load, Reads, analyst, read_api, read_dashboard, write_bodies
from tests.browser import CHROMIUM
from tests.conftest import PROJECT

EVENTS_PER_SECOND, FIRST_EVENTS = 300, 3000
REFRESH_SECONDS, SAMPLE_SECONDS, WARM_UP_SECONDS = 30, 5, 60
ANALYSTS = 2
COMMAND = [sys.executable, "-m", "orchestration.cli"]
# How much larger the last third may be than the first. The data grow all the while, and caches with them.
MEMORY_GROWTH = 1.5
DISK_GROWTH = 1.5  # the same for the disk space per acknowledged event
DISK_PARTS = ("landing", "warehouse.duckdb", "published", "dagster", "dbt", "dlt", "logs")
VERSIONS_KEPT = 2  # few, so that they are removed while analysts, API and dashboard use them
# Versions that readers hold, and one being written, in addition to those that are kept.
VERSIONS_IN_USE = 3


@contextmanager
def server(*arguments: str) -> Iterator[tuple[str, int]]:
    """Run a server with the command; yields its address and process id."""
    process = subprocess.Popen([*COMMAND, *arguments], cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    try:
        line = next(line for line in process.stdout if "http://" in line)
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield line[line.index("http://") :].strip(), process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def refresh() -> dict[str, float]:
    """One refresh: seconds, and the memory of its largest process in MB."""
    begun = time.monotonic()
    process = subprocess.Popen([*COMMAND, "refresh"], cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = process.stdout.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"a refresh ended with {process.returncode}: {output[-2000:]}")
    return {"seconds": round(time.monotonic() - begun, 1), "mb": round(usage.ru_maxrss / 1000)}


def sample(data: Path, processes: dict[str, int], load: Load) -> dict[str, float]:
    """Memory of each server with its children and size of each part of the data folder, in MB, versions and events."""
    found: dict[str, float] = {name: round(resident_megabytes(tree(pid)), 1) for name, pid in processes.items()}
    sizes = {f"disk {part}": round(_size(data / part) / 1e6, 1) for part in DISK_PARTS}
    found |= sizes | {"disk": round(sum(sizes.values()), 1)}
    found["versions"] = len(kept_versions(data))
    found["events"] = len(load.acknowledged)
    return found


def _size(path: Path) -> int:
    total = 0
    for file in path.rglob("*") if path.is_dir() else [path]:
        try:
            total += 0 if file.is_symlink() else file.stat().st_size if file.is_file() else 0
        except FileNotFoundError:  # removed meanwhile
            continue
    return total


def bounds(samples: list[dict[str, float]], minutes: float) -> dict[str, dict[str, float]]:
    """By sampled figure: medians of the first and of the last third, growth per minute between them, maximum."""
    third = max(1, len(samples) // 3)
    found = {}
    for name in samples[0]:
        values = [one[name] for one in samples]
        first, last = median(values[:third]), median(values[-third:])
        grown = (last - first) / (minutes * 2 / 3)
        found[name] = {"first": first, "last": last, "per_minute": round(grown, 2), "max": max(values)}
    return found


def accounts(data: Path, load: Load, stored: int) -> dict[str, Any]:
    """Where the acknowledged events are after the collector has ended. lost and doubled must be 0."""
    waiting = [json.loads(bytes(decode_envelope(line).event))["id"] for line in _waiting_lines(data)]
    with duckdb.connect(str(warehouse_file(data)), read_only=True) as connection:
        loaded = [one for (one,) in connection.execute("select event_id from core.pixel_events").fetchall()]
        aside = [one for (one,) in connection.execute("select event_id from operations.quarantined_events").fetchall()]
        [(lines,)] = connection.execute(
            "select (select count(*) from raw_pixel.events) + (select count(*) from raw_pixel.unreadable_lines)"
        ).fetchall()
    acknowledged = set(load.acknowledged)
    return {
        "acknowledged": len(acknowledged),
        "sent_again_by_shoppers": len(load.acknowledged) - len(acknowledged),
        "loaded": len(loaded),
        "quarantined": len(aside),
        "waiting": len(waiting),
        "lost": len(acknowledged - {*loaded, *aside, *waiting}),
        "doubled": len(loaded) - len({*loaded}) + len({*loaded} & {*aside}),
        "never_acknowledged": len({*loaded, *aside, *waiting} - acknowledged),
        "lines_stored_minus_lines_found": stored - lines - len(waiting),
    }


def _waiting_lines(data: Path) -> Iterator[bytes]:
    return (line for file in sealed_files(landing_folder(data)) for line in read_lines(file))


def soak(data: Path, minutes: float, rate: float) -> dict[str, Any]:
    """Run everything; returns the figures."""
    shop = load_shops(PROJECT / "shops.toml")[0]
    key = shop.ingest_keys[0]
    os.environ |= {"PIXELNOVA_DATA": str(data), "PIXELNOVA_DAGSTER": str(data / "dagster")}
    os.environ[COUNT_VARIABLE] = str(VERSIONS_KEPT)
    file = data.parent / "bodies.jsonl"
    write_bodies(file, int(minutes * 60 * rate) + FIRST_EVENTS)
    _, api_key = add_key(keys_file(data), shop.domain, ("analytics", "status"), requests_per_minute=0)
    load, stop, samples, refreshes, versions = Load(), threading.Event(), [], [], set()
    api_reads, page_reads, analyst_reads = Reads(), Reads(), Reads()
    with file.open("rb") as bodies, server("collect", "--port", "0", "--requests-per-second", "0") as (url, _):
        first = islice(bodies, FIRST_EVENTS // 2)  # requests, of two to three events
        asyncio.run(load.send(url, key, first, 1000, stop))
        stored = collector_counts(url)["stored"]
    # From here on, there is a version to read.
    first_refresh, begun, acknowledged = refresh(), time.monotonic(), len(load.acknowledged)
    with read_current(data).connect() as connection:
        products = [product for (product,) in connection.execute("select product_id from core.products").fetchall()]

    with file.open("rb") as bodies, ExitStack() as stack:
        rest = islice(bodies, FIRST_EVENTS // 2, None)
        url, collector = stack.enter_context(server("collect", "--port", "0", "--requests-per-second", "0"))
        api_url, api = stack.enter_context(server("api", "--port", "0", "--requests-per-second", "0"))
        page_url, dashboard = stack.enter_context(server("dashboard", "--port", "0"))
        processes = {"collector": collector, "api": api, "dashboard": dashboard}
        spawn = multiprocessing.get_context("spawn")
        stop_analysts, results = spawn.Event(), spawn.Queue()
        analysts = [spawn.Process(target=analyst, args=(data, stop_analysts, results, n)) for n in range(ANALYSTS)]
        threads = [
            threading.Thread(target=lambda: asyncio.run(load.send(url, key, rest, rate, stop))),
            threading.Thread(target=read_api, args=(api_url, api_key, shop.domain, products, stop, api_reads)),
            threading.Thread(target=read_dashboard, args=(page_url, stop, page_reads)),
            threading.Thread(target=take_samples, args=(data, processes, load, stop, samples)),
        ]
        for one in (*analysts, *threads):
            one.start()
        try:
            while time.monotonic() - begun < 60 * minutes:
                next_at = time.monotonic() + REFRESH_SECONDS
                refreshes.append(refresh())
                versions.add(read_current(data).manifest.version)
                time.sleep(max(0.0, next_at - time.monotonic()))
        finally:
            stop.set()
            stop_analysts.set()
            for one in threads:
                one.join()
            for one in [results.get(timeout=60) for _ in analysts]:
                analyst_reads.milliseconds += one.milliseconds
                analyst_reads.failures += one.failures
        seconds = time.monotonic() - begun
        stored += collector_counts(url)["stored"]

    before = accounts(data, load, stored)
    refresh()
    reads = {"api": api_reads, "dashboard": page_reads, "analysts": analyst_reads}
    return {
        "minutes": round(seconds / 60, 1),
        "events_per_second": round((len(load.acknowledged) - acknowledged) / seconds),
        "responses": dict(load.outcomes),
        "refreshes": {
            "first": first_refresh,
            "count": len(refreshes),
            "median_seconds": median(one["seconds"] for one in refreshes),
            "max_seconds": max(one["seconds"] for one in refreshes),
            "max_mb": max(one["mb"] for one in refreshes),
        },
        "versions": {"published": len(versions), "removed": len(versions - {one.name for one in kept_versions(data)})},
        "reads": {name: one.figures() for name, one in reads.items()},
        "failures": [failure for one in reads.values() for failure in one.failures[:5]],
        "events": {"before_the_last_refresh": before, "after_it": accounts(data, load, stored)},
        "bounds": bounds(samples, seconds / 60),
    }


def take_samples(
    data: Path, processes: dict[str, int], load: Load, stop: threading.Event, samples: list[dict[str, float]]
) -> None:
    """A sample every few seconds, once the servers have loaded their code and a version."""
    stop.wait(WARM_UP_SECONDS)
    while not stop.wait(SAMPLE_SECONDS):
        samples.append(sample(data, processes, load))


def broken(found: dict[str, Any]) -> list[str]:
    """The promises that were not kept."""
    wrong = [f"{one['failed']} reads of {name} failed" for name, one in found["reads"].items() if one["failed"]]
    wrong += [f"no read of {name} succeeded" for name, one in found["reads"].items() if not one["reads"]]
    for when, events in found["events"].items():
        kinds = ("lost", "doubled", "never_acknowledged", "lines_stored_minus_lines_found")
        wrong += [f"{when}: {kind} {events[kind]}" for kind in kinds if events[kind]]
    for name in ("collector", "api", "dashboard"):
        one = found["bounds"][name]
        if one["last"] > MEMORY_GROWTH * one["first"]:
            wrong.append(f"the memory of {name} grew from {one['first']} to {one['last']} MB")
    disk, events = found["bounds"]["disk"], found["bounds"]["events"]
    if disk["last"] * events["first"] > DISK_GROWTH * disk["first"] * events["last"]:
        wrong.append(f"the disk grew from {disk['first']} to {disk['last']} MB, much faster than the events")
    if found["bounds"]["versions"]["max"] > VERSIONS_KEPT + VERSIONS_IN_USE:
        wrong.append(f"{found['bounds']['versions']['max']} versions were kept")
    return wrong


def main() -> None:
    """Run, print, write the figures to a file if one is named; exit with 1 if a promise was not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--minutes", type=float, default=10, help="at least 2")
    parser.add_argument("--rate", type=float, default=EVENTS_PER_SECOND, help="events per second")
    arguments = parser.parse_args()
    if not CHROMIUM:
        sys.exit("Chromium is missing: apt-get install chromium, or set PIXELNOVA_CHROMIUM")
    with tempfile.TemporaryDirectory() as folder:
        found = soak(Path(folder) / "data", arguments.minutes, arguments.rate)
    found["broken"] = broken(found)
    print(json.dumps(found, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")
    sys.exit(bool(found["broken"]))


if __name__ == "__main__":
    main()
