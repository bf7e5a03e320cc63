"""An erasure killed at any of its steps: the next run ends as if it had not been killed."""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ingestion.landing import archived_parts, read_lines, sealed_files
from ingestion.privacy.erase import erase_pending
from ingestion.privacy.identifiers import CLIENT, CUSTOMER, Identifier
from ingestion.privacy.requests import ERASE, new_request, read_requests
from ingestion.privacy.suppression import privacy_folder
from ingestion.shops import load_shops
from orchestration.build_state import mark_for_rebuild
from tests.conftest import PROJECT
from tests.privacy.people import ANNA, CARA, PEOPLE, SHOP
from tests.privacy.warehouses import copy_of
from tests.warehouse import Warehouse

POINTS = 25
# Counts every step that changes a file or runs a statement, and dies at the chosen one, as by kill -9.
KILLED = """
import os, sys
from pathlib import Path
data, shops, point = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
from ingestion.privacy.erase import erase_pending
from ingestion.privacy import raw_tables, state
from ingestion.shops import load_shops
from orchestration.build_state import mark_for_rebuild
steps = 0
def step():
    global steps
    steps += 1
    if steps == point:
        os._exit(9)
def hook(event, arguments):
    if event in ("os.rename", "os.remove", "os.rmdir", "shutil.rmtree"):
        step()
    elif event == "open" and isinstance(arguments[0], str) and str(arguments[1])[0] in "wa":
        step()
sys.addaudithook(hook)
import duckdb
class Watched:
    def __init__(self, connection): self.connection = connection
    def __getattr__(self, name):
        if name in ("execute", "commit", "begin"): step()
        return getattr(self.connection, name)
    def __enter__(self): return self
    def __exit__(self, *error): return self.connection.__exit__(*error)
import ingestion.privacy.erase as module
connect = module.connect
module.connect = lambda file: Watched(connect(file))
erase_pending(data, load_shops(shops), mark_for_rebuild)
print(steps)
"""


@pytest.fixture(scope="module")
def requested(everyone, shops_file, tmp_path_factory) -> Warehouse:
    """A warehouse with two open requests."""
    warehouse = copy_of(everyone, tmp_path_factory.mktemp("requested") / "data", shops_file)
    new_request(warehouse.data, SHOP, ERASE, [Identifier(CUSTOMER, PEOPLE[ANNA].customer)])
    new_request(warehouse.data, SHOP, ERASE, [Identifier(CLIENT, PEOPLE[CARA].browsers[0])])
    return warehouse


def killed(warehouse: Warehouse, shops_file: Path, point: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", KILLED, str(warehouse.data), str(shops_file), str(point)]
    return subprocess.run(command, cwd=PROJECT, env={**os.environ}, capture_output=True, text=True, timeout=120)


def state(warehouse: Warehouse) -> dict[str, object]:
    """What an erasure leaves, except the times at which it ran."""
    landing = warehouse.landing
    files = [*archived_parts(landing), *sealed_files(landing)]
    return {
        "lines": sorted(line for file in files for line in read_lines(file)),
        "raw": warehouse.query("select * exclude (load_began_at) from raw_pixel.events order by all"),
        "ledger": warehouse.query(
            "select landing_file, events, unreadable_lines from raw_pixel.landing_files order by 1"
        ),
        "events": warehouse.query("select event_key from intermediate.int_events order by 1"),
        "changed": warehouse.query("select distinct * from intermediate.int_events_changed_this_run order by all"),
        "suppressed": sorted(set((privacy_folder(warehouse.data) / "suppressed").read_text().split())),
        "requests": [
            (one.request_id, one.status, one.counts, one.identifiers) for one in read_requests(warehouse.data)
        ],
        "left": (privacy_folder(warehouse.data) / "erasing.json").exists(),
    }


def test_next_run_ends_like_one_that_was_not_killed(requested, shops_file, tmp_path, request):
    expected = copy_of(requested, tmp_path / "whole", shops_file)
    done = killed(expected, shops_file, 0)
    steps = int(done.stdout.splitlines()[-1])
    assert steps > POINTS, done.stderr
    whole = state(expected)
    assert len(whole["lines"]) < sum(1 for file in archived_parts(requested.landing) for _ in read_lines(file))
    points = random.Random(18).sample(range(1, steps + 1), POINTS if request.config.getoption("--long") else 2)
    for point in sorted(points):
        data = tmp_path / str(point)
        warehouse = copy_of(requested, data, shops_file)
        assert killed(warehouse, shops_file, point).returncode == 9, point
        erase_pending(warehouse.data, load_shops(shops_file), mark_for_rebuild)
        assert state(warehouse) == whole, point
        shutil.rmtree(data)
