"""Two collectors on separate machines, simulated by two data folders, and a loader for the events of both."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from ingestion.data_folder import landing_folder
from ingestion.landing import archived_parts, landing_name, sealed_files
from tests.browser import missing
from tests.collector_process import collecting
from tests.conftest import PROJECT
from tests.warehouse import Warehouse

DOCUMENTED = PROJECT / "docs" / "scale-out.md"


def move_sealed(collector: Path, loader: Path) -> None:
    """Run the command of docs/scale-out.md, with folders in place of its paths."""
    [command] = re.findall(r"^rsync (?:.*\\\n)*.*", DOCUMENTED.read_text(), re.MULTILINE)
    command = command.replace("collector-1:/srv/pixelnova", str(collector)).replace("/srv/pixelnova", str(loader))
    subprocess.run(command, shell=True, check=True)


def loaded(loader: Path) -> list[str]:
    """Load what was moved; returns the ids of all loaded events."""
    warehouse = Warehouse(loader, PROJECT / "shops.toml", load=False)
    warehouse.load()
    return [event_id for (event_id,) in warehouse.query("select event ->> '$.id' from raw_pixel.events order by 1")]


@pytest.fixture
def folders(tmp_path):
    if not shutil.which("rsync"):
        missing("rsync is missing: apt-get install rsync")
    found = [tmp_path / name for name in ("collector-1", "collector-2", "loader")]
    for folder in found:
        landing_folder(folder).mkdir(parents=True)
    return found


def test_events_of_two_collectors_are_loaded_once(folders, shop):
    *collectors, loader = folders
    acknowledged = []
    for round_number in range(3):
        for number, data in enumerate(collectors):
            with collecting(data) as url:
                for count in range(5):
                    event = {"id": f"{round_number}-{number}-{count}", "name": "page_viewed", "clientId": "c"}
                    event["timestamp"] = "2026-11-22T10:00:00.000Z"
                    answer = httpx.post(f"{url}/v1/events/{shop.ingest_keys[0]}", content=json.dumps(event))
                    assert answer.status_code == 204
                    acknowledged.append(event["id"])
                move_sealed(data, loader)  # not the file that is open
            assert len(sealed_files(landing_folder(data))) == 1
            move_sealed(data, loader)
            assert sealed_files(landing_folder(data)) == []
        assert loaded(loader) == sorted(acknowledged)


def test_a_file_that_is_moved_again_after_a_kill_is_not_loaded_again(folders, shop):
    first, _, loader = folders
    with collecting(first) as url:
        event = {"id": "e", "name": "page_viewed", "clientId": "c", "timestamp": "2026-11-22T10:00:00.000Z"}
        httpx.post(f"{url}/v1/events/{shop.ingest_keys[0]}", content=json.dumps(event))
    [sealed] = sealed_files(landing_folder(first))
    kept = sealed.read_bytes()
    move_sealed(first, loader)
    assert loaded(loader) == ["e"]
    sealed.write_bytes(kept)  # rsync was killed before it removed the source
    move_sealed(first, loader)
    assert loaded(loader) == ["e"]
    assert [landing_name(part) for part in archived_parts(landing_folder(loader))] == [sealed.name]
    assert sealed_files(landing_folder(loader)) == []


def test_webhooks_are_moved_but_not_while_they_are_written(folders):
    first, _, loader = folders
    topic = landing_folder(first) / "webhooks" / "customers-redact"
    topic.mkdir(parents=True)
    (topic / "one.json").write_text("{}")
    (topic / ".two.json-9f86d081").write_text("{")  # as ingestion/collector/webhooks.py writes it
    move_sealed(first, loader)
    assert [path.name for path in topic.iterdir()] == [".two.json-9f86d081"]
    moved = landing_folder(loader) / "webhooks" / "customers-redact"
    assert [path.name for path in moved.iterdir()] == ["one.json"]
