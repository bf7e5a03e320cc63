"""Which published versions are removed: never one that a reader holds, the current one, or the one before it."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from serving import kept_versions as kept
from serving.analytics.store import Stores
from serving.api.shops import Version
from serving.kept_versions import Limits, VersionError, kept_versions, remove_old_versions, roll_back
from serving.manifest import MANIFEST
from serving.publish import publish
from serving.published import CURRENT, published_folder, read_current
from tests.conftest import PROJECT
from tests.serving.marts import make_warehouse
from tests.serving.published_version import SHOP, write_version

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def names(data: Path) -> list[str]:
    return [version.name for version in kept_versions(data)]


def place(data: Path, ages: list[timedelta]) -> list[str]:
    """Versions published that long before NOW, oldest first; the last one is current. Returns their names."""
    made = []
    for age in ages:
        folder = write_version(data, products=5, sessions=10).folder
        name = f"{NOW - age:%Y%m%dT%H%M%S}.000Z"
        folder.rename(folder.with_name(name))
        kept.switch(folder.parent, name)
        made.append(name)
    return made


def test_a_reader_keeps_its_version_while_ten_are_published_and_removed(tmp_path, monkeypatch):
    monkeypatch.setenv("PIXELNOVA_VERSIONS", "2")
    make_warehouse(tmp_path / "warehouse.duckdb")
    held = publish(tmp_path / "warehouse.duckdb", tmp_path)
    files = {file.path for file in held.manifest.files}
    for _ in range(10):
        newest = publish(tmp_path / "warehouse.duckdb", tmp_path).folder.name
        assert all((held.folder / name).is_file() for name in files)
        with held.connect() as connection:
            assert connection.execute("select sessions from analytics.funnel_daily").fetchall() == [(7,)]
    assert len(names(tmp_path)) == 3  # those of the count, and the one in use
    assert names(tmp_path)[0] == newest and held.folder.name in names(tmp_path)
    folder = held.folder
    del held
    publish(tmp_path / "warehouse.duckdb", tmp_path)
    assert not folder.exists()


def test_the_read_api_holds_its_version(tmp_path):
    first = write_version(tmp_path, seed=9).folder.name
    served = Version(read_current(tmp_path))
    second, *_ = [write_version(tmp_path, seed=seed).folder.name for seed in range(3)]
    assert remove_old_versions(tmp_path, Limits(count=1), NOW) == [second]
    assert served.shop(SHOP)._read(f"recommendations/shops/{SHOP}/lists.json")
    del served
    assert remove_old_versions(tmp_path, Limits(count=1), NOW) == [first]


READER = """
import sys
from pathlib import Path
from serving.published import read_current
held = read_current(Path(sys.argv[1]))
print("reading", flush=True)
sys.stdin.read()
"""


def test_another_process_holds_its_version_until_it_is_killed(tmp_path):
    [oldest, *_] = place(tmp_path, [timedelta(days=9)])
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(tmp_path)],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )
    try:
        assert reader.stdout.readline() == b"reading\n"
        place(tmp_path, [timedelta(days=day) for day in (3, 2, 1)])
        [version] = [version for version in kept_versions(tmp_path) if version.name == oldest]
        assert version.is_in_use()
        remove_old_versions(tmp_path, Limits(count=1), NOW)
        assert oldest in names(tmp_path)
    finally:
        reader.kill()
        reader.communicate()
    assert remove_old_versions(tmp_path, Limits(count=1), NOW) == [oldest]


def test_versions_beyond_the_count_are_removed(tmp_path):
    made = place(tmp_path, [timedelta(hours=hours) for hours in (5, 4, 3, 2, 1)])
    assert remove_old_versions(tmp_path, Limits(count=3, days=1000, megabytes=1000), NOW) == made[1::-1]
    assert names(tmp_path) == made[:1:-1]


def test_versions_beyond_the_age_are_removed_except_the_newest_two(tmp_path):
    made = place(tmp_path, [timedelta(days=days) for days in (60, 50, 40, 31)])
    assert remove_old_versions(tmp_path, Limits(count=9, days=45, megabytes=1000), NOW) == made[1::-1]
    assert remove_old_versions(tmp_path, Limits(count=9, days=1, megabytes=1000), NOW) == []


@pytest.mark.parametrize("text", ["inf", "10000000000"])
def test_an_unlimited_age_keeps_every_version(tmp_path, text):
    made = place(tmp_path, [timedelta(days=days) for days in (6000, 40, 31)])
    limits = Limits.of_environment({"PIXELNOVA_VERSIONS_DAYS": text})
    assert remove_old_versions(tmp_path, limits, NOW) == []
    assert names(tmp_path) == made[::-1]


def test_versions_beyond_the_size_are_removed(tmp_path):
    made = place(tmp_path, [timedelta(hours=hours) for hours in (4, 3, 2, 1)])
    sizes = [version.bytes for version in kept_versions(tmp_path)]
    assert min(sizes) > 0
    limits = Limits(count=9, days=9, megabytes=sum(sizes[:3]) / 1_000_000)
    assert remove_old_versions(tmp_path, limits, NOW) == made[:1]


def test_the_current_version_stays_even_if_it_is_the_oldest(tmp_path):
    made = place(tmp_path, [timedelta(days=days) for days in (9, 3, 2, 1)])
    roll_back(tmp_path, made[0])
    remove_old_versions(tmp_path, Limits(count=1), NOW)
    assert names(tmp_path) == [made[3], made[2], made[0]]
    assert read_current(tmp_path).folder.name == made[0]


def test_a_half_removed_version_is_hidden_and_the_next_publication_removes_the_rest(tmp_path, monkeypatch):
    made = place(tmp_path, [timedelta(days=days) for days in (3, 2, 1)])

    def die(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(kept.shutil, "rmtree", die)
        with pytest.raises(KeyboardInterrupt):
            remove_old_versions(tmp_path, Limits(count=1), NOW)
    assert names(tmp_path) == made[:0:-1]
    kept.remove_unfinished(published_folder(tmp_path))
    assert sorted(path.name for path in published_folder(tmp_path).iterdir()) == sorted([*made[1:], CURRENT])


def test_a_reader_that_meets_a_removed_version_reads_the_next_one(tmp_path, monkeypatch):
    first = write_version(tmp_path, seed=1).folder
    second = write_version(tmp_path, seed=2).folder
    kept.switch(first.parent, first.name)
    resolve = Path.resolve

    def just_in_time(path: Path, *arguments) -> Path:
        """The reader resolves `current`; then another process switches it and removes the version."""
        found = resolve(path, *arguments)
        if path.name == CURRENT and found == first and first.exists():
            kept.switch(first.parent, second.name)
            kept._remove(first)
        return found

    monkeypatch.setattr(Path, "resolve", just_in_time)
    assert read_current(tmp_path).folder == second


def test_rollback_serves_the_older_version_and_the_next_publication_is_current(tmp_path):
    make_warehouse(tmp_path / "warehouse.duckdb")
    first = publish(tmp_path / "warehouse.duckdb", tmp_path).folder
    publish(tmp_path / "warehouse.duckdb", tmp_path)
    assert roll_back(tmp_path, first.name).folder == first
    assert read_current(tmp_path).folder == first
    third = publish(tmp_path / "warehouse.duckdb", tmp_path).folder
    assert read_current(tmp_path).folder == third


def test_a_version_in_use_since_a_rollback_stays_open_when_the_next_one_is_published(tmp_path):
    make_warehouse(tmp_path / "warehouse.duckdb")
    stores = Stores(tmp_path)
    for _ in range(2):
        publish(tmp_path / "warehouse.duckdb", tmp_path)
        stores.newest()
    roll_back(tmp_path, names(tmp_path)[1])
    in_use = stores.newest()
    publish(tmp_path / "warehouse.duckdb", tmp_path)
    assert stores.newest().version != in_use.version
    assert in_use.query(SHOP, "select $shop").rows == [(SHOP,)]


@pytest.mark.parametrize("name", ["20200101T000000.000Z", "current", "../landing", ".unfinished-x"])
def test_rollback_to_an_unknown_version_is_refused(tmp_path, name):
    newest = write_version(tmp_path).folder
    with pytest.raises(VersionError, match="lists all versions"):
        roll_back(tmp_path, name)
    assert read_current(tmp_path).folder == newest


def test_rollback_to_a_damaged_version_is_refused(tmp_path):
    make_warehouse(tmp_path / "warehouse.duckdb")
    first = publish(tmp_path / "warehouse.duckdb", tmp_path).folder
    second = publish(tmp_path / "warehouse.duckdb", tmp_path).folder
    os.truncate(first / "pixelnova.duckdb", 100)
    with pytest.raises(VersionError, match=r"pixelnova\.duckdb is missing or incomplete"):
        roll_back(tmp_path, first.name)
    (first / MANIFEST).write_text("{")
    with pytest.raises(VersionError, match="cannot be read"):
        roll_back(tmp_path, first.name)
    assert read_current(tmp_path).folder == second


@pytest.mark.parametrize("text", ["many", "-1", "nan"])
def test_a_limit_that_is_not_a_number_is_reported(text):
    with pytest.raises(VersionError, match="PIXELNOVA_VERSIONS is"):
        Limits.of_environment({"PIXELNOVA_VERSIONS": text})


def test_limits_come_from_the_environment():
    environment = {"PIXELNOVA_VERSIONS": "9", "PIXELNOVA_VERSIONS_DAYS": "0.5", "PIXELNOVA_VERSIONS_MB": "100"}
    assert Limits.of_environment(environment) == Limits(9, 0.5, 100)
    assert Limits.of_environment({}) == Limits()
