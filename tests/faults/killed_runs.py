"""Kills refreshes at seeded points, and compares what the next ordinary refresh leaves with a rebuild.

    python -m tests.faults.killed_runs --points 200 --seed 7

A chain is a data folder whose refreshes are killed one after another, each with new events and orders; the last one
is not killed, and must end as if none had been. Prints the seed, each chain, and how many kills hit each stage; exit
code 1 if a chain has a fault.
"""

import argparse
import random
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from serving.published import NothingPublished, read_current
from tests.faults.refresh_process import rebuild, refresh, start_server
from tests.faults.seams import POINT_VARIABLE, RECORD_VARIABLE, STAGES, Point
from tests.faults.store import Store, environment, faults_of

CHAIN = 10  # points
DELAY = 0.05  # seconds at most: longer than most statements
AT_ONCE = 2
# Points per hundred. The later the stage, the longer the refresh before it.
WEIGHTS = {
    "extract": 12,
    "normalize": 8,
    "load": 18,
    "archive": 10,
    "models": 30,
    "experiments": 2,
    "recommend": 4,
    "publish": 6,
    "switch": 4,
    "prune": 4,
    "other": 2,
}
assert WEIGHTS.keys() == set(STAGES)
# The share of a rebuild's seams that later refreshes have: tables exist, and views are not built again.
REPEATED = {"extract": 0.6, "load": 0.7, "models": 0.8, "archive": 0.4, "prune": 0.4}


class Chain(NamedTuple):
    """The outcome of a chain. hits: points at which a refresh was killed; others ended before their point."""

    number: int
    points: Sequence[Point]
    hits: Sequence[Point]
    faults: Sequence[str]


class Rebuilt(NamedTuple):
    """A data folder in which everything was built once, without a fault. seams: their number by stage."""

    data: Path
    seams: Counter[str]


def seeded_points(seed: int, count: int, seams: Counter[str]) -> list[Point]:
    """Points over all stages by weight, in random order. seams: their number by stage in a rebuild."""
    rng = random.Random(seed)
    stages = [stage for stage, weight in WEIGHTS.items() for _ in range(weight)]
    offset = rng.random()
    chosen = [stages[int((place + offset) * len(stages) / count)] for place in range(count)]
    rng.shuffle(chosen)
    return [_point(rng, stage, seams[stage]) for stage in chosen]


def _point(rng: random.Random, stage: str, seams: int) -> Point:
    number = rng.randint(1, max(1, int(seams * REPEATED.get(stage, 1))))
    return Point(stage, number, rng.choice([0, rng.uniform(0, DELAY)]))


def chains_of(points: Sequence[Point], folder: Path, rebuilt: Path) -> Iterator[Chain]:
    """Run the chains, two at once; yields each when it has ended, in order. Data folders without faults are removed."""
    parts = [points[begin : begin + CHAIN] for begin in range(0, len(points), CHAIN)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(lambda part: _chain(*part, folder, rebuilt), enumerate(parts, start=1))


def _chain(number: int, points: Sequence[Point], folder: Path, rebuilt: Path) -> Chain:
    store = Store(folder / f"chain-{number}")
    hits, faults = [], []
    with store.online() as url:
        for part, point in enumerate([*points, None]):
            store.receive(part, len(points) + 1)
            task = {POINT_VARIABLE: str(point)} if point else {}
            code = refresh(store.data, environment(url) | task, folder / f"chain-{number}.log")
            if point and code == -signal.SIGKILL:
                hits.append(point)
            elif code:
                faults.append(f"refresh {part + 1} ended with {code}")
            faults += [f"after refresh {part + 1}: {fault}" for fault in _broken_version(store.data)]
    if code == 0:
        faults += faults_of(store.data, rebuilt)
    if not faults:
        shutil.rmtree(store.data)
    return Chain(number, points, hits, faults)


def _broken_version(data: Path) -> Iterator[str]:
    """Incomplete files of the current version: readers must always see a whole one."""
    try:
        published = read_current(data)
    except NothingPublished:
        return
    for file in published.manifest.files:
        if (published.folder / file.path).stat().st_size != file.bytes:
            yield f"{file.path} of {published.manifest.version} is incomplete"


def rebuilt_store(folder: Path) -> Rebuilt:
    """Load, build and publish everything that the store sends."""
    store, record = Store(folder / "rebuilt"), folder / "seams"
    store.receive()
    with store.online() as url:
        code = rebuild(store.data, environment(url) | {RECORD_VARIABLE: str(record)}, folder / "rebuilt.log")
    assert code == 0, (folder / "rebuilt.log").read_text()
    return Rebuilt(store.data, Counter(line.split("\t")[0] for line in record.read_text().splitlines()))


def report(chains: Iterable[Chain]) -> bool:
    """Print the chains; returns whether all are without a fault."""
    planned, hits, faults = Counter(), Counter(), 0
    for chain in chains:
        planned.update(point.stage for point in chain.points)
        hits.update(point.stage for point in chain.hits)
        faults += bool(chain.faults)
        print(f"chain {chain.number}: {len(chain.hits)} of {len(chain.points)} points hit,", end=" ")  # noqa: T201
        print("equal to a rebuild" if not chain.faults else "; ".join(chain.faults)[:2000], flush=True)  # noqa: T201
    for stage in STAGES:
        print(f"{stage:<12}{hits[stage]:>4} of {planned[stage]:>4}")  # noqa: T201
    print(f"{hits.total()} kills of {planned.total()} points; chains with a fault: {faults}")  # noqa: T201
    return not faults


def main() -> None:
    """Run the chains of a seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="pixelnova-faults-"))
    print(f"{arguments.points} points of seed {arguments.seed}, in {folder}", flush=True)  # noqa: T201
    start_server()
    rebuilt = rebuilt_store(folder)
    points = seeded_points(arguments.seed, arguments.points, rebuilt.seams)
    if not report(chains_of(points, folder, rebuilt.data)):
        sys.exit(1)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
