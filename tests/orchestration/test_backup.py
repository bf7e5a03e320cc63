"""`pixelnova backup` and `restore`: every mart comes back while the collector runs; damaged backups are refused."""

import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from ingestion.data_folder import landing_folder, warehouse_file
from ingestion.landing import archive, archived_parts, read_lines, sealed_files
from ingestion.privacy.identifiers import CLIENT, Identifier
from ingestion.privacy.suppression import Suppressions, privacy_folder
from ingestion.shops import ShopsFileError
from ingestion.warehouse import not_loaded
from orchestration import backup as backing_up
from orchestration import restoration
from orchestration.backup import LIST, BackupError, back_up, read_backup
from orchestration.restoration import restore
from orchestration.warehouse_lock import WarehouseBusy, warehouse_lock
from serving.published import ANALYSTS_FILE, read_current
from tests.comparison import differing_tables
from tests.conftest import PROJECT
from tests.landing_files import land, line
from tests.orchestration.test_cli import one_line_reason
from tests.serving.published_version import write_version
from tests.warehouse import Warehouse, differences

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_every_mart_is_restored_into_an_empty_folder(built_demo, pixelnova, tmp_path):
    output = pixelnova("backup", tmp_path / "backups", data=built_demo.data).stdout
    assert "Backed up" in output
    env = {"PIXELNOVA_SHOPS": str(tmp_path / "etc" / "shops.toml")}
    assert "repeat the erasures" in pixelnova("restore", tmp_path / "backups", data=tmp_path / "data", env=env).stdout
    restored = Warehouse(tmp_path / "data", tmp_path / "etc" / "shops.toml", load=False)
    assert len(restored.tables()) > 80
    assert differences(built_demo, restored, [*restored.tables(), "operations.loads"]) == {}
    assert differing_tables(read_current(built_demo.data), read_current(restored.data)) == {}
    assert not_loaded(sealed_files(restored.landing), restored.data) == []  # the ledger knows the whole archive
    assert (tmp_path / "etc" / "shops.toml").read_bytes() == (PROJECT / "shops.toml").read_bytes()
    assert warehouse_file(restored.data).stat().st_mode & 0o007 == 0
    with duckdb.connect(str(restored.file)) as connection:  # the comparison finds a row that is missing
        connection.execute("delete from core.orders where order_id = (select min(order_id) from core.orders)")
    assert set(differences(built_demo, restored, ["core.orders", "core.sessions"])) == {"core.orders"}


@pytest.fixture
def data(tmp_path, monkeypatch) -> Path:
    """A data folder with an archived and a sealed file, a warehouse of one table, and a published version."""
    folder = tmp_path / "data"
    monkeypatch.setenv("PIXELNOVA_DATA", str(folder))
    archive(land(landing_folder(folder), [line({"id": "e1"})]))
    land(landing_folder(folder), [line({"id": "e2"})])
    with duckdb.connect(str(warehouse_file(folder))) as connection:
        connection.execute("create table orders as select 7 as order_id")
    version = write_version(folder, products=5, sessions=10).folder
    shutil.copy(warehouse_file(folder), version / ANALYSTS_FILE)
    (folder / "collector" / "salts").mkdir(parents=True)
    (folder / "collector" / "salts" / "2026-11-22").write_text("a secret of the day")
    return folder


@pytest.fixture
def shops(tmp_path) -> Path:
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "shops.toml").write_bytes((PROJECT / "shops.toml").read_bytes())
    (folder / "annotations.toml").write_text("")
    return folder / "shops.toml"


def restored(source: Path, tmp_path: Path, monkeypatch, name: str = "restored") -> Path:
    monkeypatch.setenv("PIXELNOVA_DATA", str(tmp_path / name))
    restore(source, tmp_path / name, tmp_path / "elsewhere" / "shops.toml")
    return tmp_path / name


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and path.name not in (".lock", "warehouse.lock")
    }


def test_all_files_except_the_salts_are_restored(data, shops, tmp_path, monkeypatch):
    backup = back_up(data, shops, tmp_path / "backups", NOON, 0)
    assert backup.name == "20261122T120000Z"
    copy = restored(backup, tmp_path, monkeypatch)
    before = {name: content for name, content in contents(data).items() if not name.startswith("collector")}
    assert contents(copy) == before
    assert read_current(copy).folder.name == read_current(data).folder.name
    assert sorted(path.name for path in (tmp_path / "elsewhere").iterdir()) == ["annotations.toml", "shops.toml"]


def test_people_erased_after_the_backup_are_erased_again(data, shops, tmp_path, monkeypatch):
    gone, stays = (Identifier(CLIENT, name) for name in ("gone-4711", "stays-4711"))
    for person in (gone, stays):
        archive(land(landing_folder(data), [line({"id": f"of {person.value}", "clientId": person.value})]))
    Suppressions(data).add("a.myshopify.com", [Identifier(CLIENT, "before-4711")])
    backup = back_up(data, shops, tmp_path / "backups", NOON, 0)
    Suppressions(data).add("a.myshopify.com", [gone])
    shutil.copytree(privacy_folder(data), privacy_folder(tmp_path / "restored"))
    monkeypatch.setenv("PIXELNOVA_DATA", str(tmp_path / "restored"))
    assert restore(backup, tmp_path / "restored", shops).erased_again
    lines = [text for part in archived_parts(landing_folder(tmp_path / "restored")) for text in read_lines(part)]
    assert any(b"stays-4711" in text for text in lines) and not any(b"gone-4711" in text for text in lines)
    assert not (tmp_path / "restored" / "published").exists()  # it may show the person
    restored = Suppressions(tmp_path / "restored")
    assert restored.contains("a.myshopify.com", Identifier(CLIENT, "before-4711"))


@pytest.mark.parametrize("failure", ["shops.toml is broken", "killed while erasing", "killed while moving"])
def test_a_restoration_that_failed_never_brings_erased_people_back(data, shops, tmp_path, monkeypatch, failure):
    gone = Identifier(CLIENT, "gone-4711")
    archive(land(landing_folder(data), [line({"id": "of gone", "clientId": gone.value})]))
    backup = back_up(data, shops, tmp_path / "backups", NOON, 0)
    Suppressions(data).add("a.myshopify.com", [gone])
    copy, right = tmp_path / "restored", shops.read_text()
    shutil.copytree(privacy_folder(data), privacy_folder(copy))
    monkeypatch.setenv("PIXELNOVA_DATA", str(copy))

    def die(*_):
        raise KeyboardInterrupt

    def die_at_the_end(path: Path, target: Path, rename=Path.rename) -> None:
        rename(path, target)
        if path.name == restoration.LANDING:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises((ShopsFileError, KeyboardInterrupt)):
        if failure == "killed while erasing":
            patch.setattr(restoration, "erase_everywhere", die)
        elif failure == "killed while moving":
            patch.setattr(Path, "rename", die_at_the_end)
        else:
            shops.write_text("[[shops]]\n")
        restore(backup, copy, shops)
    lines = [text for part in archived_parts(landing_folder(copy)) for text in read_lines(part)]
    assert not any(b"gone-4711" in text for text in lines)
    shops.write_text(right)
    if failure == "killed while moving":
        with pytest.raises(BackupError, match="is not empty"):  # it is complete
            restore(backup, copy, shops)
        assert not (copy / restoration.RESTORING).exists()
    else:
        assert restore(backup, copy, shops).erased_again
    lines = [text for part in archived_parts(landing_folder(copy)) for text in read_lines(part)]
    assert len(lines) == 1 and b"gone-4711" not in lines[0]
    assert Suppressions(copy).contains("a.myshopify.com", gone)
    assert not (copy / "published").exists()


def test_an_empty_data_folder_can_be_backed_up(shops, tmp_path, monkeypatch):
    monkeypatch.setenv("PIXELNOVA_DATA", str(tmp_path / "data"))
    backup = back_up(tmp_path / "data", shops, tmp_path / "backups", NOON, 0)
    assert contents(restored(backup, tmp_path, monkeypatch)) == {}


def test_the_collector_writes_while_the_backup_is_made(data, shops, tmp_path, monkeypatch):
    begun, done = threading.Event(), threading.Event()
    landed: list[Path] = []

    def collect() -> None:
        while not done.is_set():
            landed.append(land(landing_folder(data), [line({"id": f"while-{len(landed)}"})]))
            begun.set()

    collector = threading.Thread(target=collect)
    collector.start()
    try:
        assert begun.wait(60)
        before = len(landed)
        backup = back_up(data, shops, tmp_path / "backups", NOON, 0)
    finally:
        done.set()
        collector.join()
    assert len(landed) > before
    copy = restored(backup, tmp_path, monkeypatch)
    names = {file.name for file in sealed_files(landing_folder(copy))}
    assert {file.name for file in landed[:before]} <= names
    for file in sealed_files(landing_folder(copy)):
        assert list(read_lines(file)) == list(read_lines(landing_folder(data) / file.name))


def test_a_file_that_is_archived_during_the_backup_is_in_it_once(data, shops, tmp_path, monkeypatch):
    """A refresh ends between the first copy of the archive and the copy under the lock, and the collector continues."""
    locked = backing_up.warehouse_lock
    sealed: list[Path] = []

    def after_a_refresh(wait_seconds: float):
        for file in sealed_files(landing_folder(data)):
            archive(file)
        sealed.append(land(landing_folder(data), [line({"id": "e3"})]))
        return locked(wait_seconds)

    monkeypatch.setattr(backing_up, "warehouse_lock", after_a_refresh)
    copy = restored(back_up(data, shops, tmp_path / "backups", NOON, 0), tmp_path, monkeypatch)
    assert [file.name for file in sealed_files(landing_folder(copy))] == [file.name for file in sealed]
    assert len(archived_parts(landing_folder(copy))) == 2


def test_a_part_that_is_erased_during_the_backup_is_not_in_it(data, shops, tmp_path, monkeypatch):
    locked = backing_up.warehouse_lock

    def after_an_erasure(wait_seconds: float):
        for part in archived_parts(landing_folder(data)):
            part.unlink()
        return locked(wait_seconds)

    monkeypatch.setattr(backing_up, "warehouse_lock", after_an_erasure)
    copy = restored(back_up(data, shops, tmp_path / "backups", NOON, 0), tmp_path, monkeypatch)
    assert archived_parts(landing_folder(copy)) == []


def test_unchanged_files_are_links_to_the_previous_backup(data, shops, tmp_path, monkeypatch):
    first = back_up(data, shops, tmp_path / "backups", NOON, 0)
    [part] = archived_parts(landing_folder(data))
    with duckdb.connect(str(warehouse_file(data))) as connection:
        connection.execute("insert into orders values (8)")
    second = back_up(data, shops, tmp_path / "backups", NOON.replace(hour=13), 0)
    name = Path("data") / part.relative_to(data)
    assert (first / name).samefile(second / name) and not (second / name).samefile(part)
    warehouse = Path("data") / warehouse_file(data).name
    assert not (first / warehouse).samefile(second / warehouse)
    part.write_bytes(b"after an erasure")
    third = back_up(data, shops, tmp_path / "backups", NOON.replace(hour=14), 0)
    assert (third / name).read_bytes() == b"after an erasure" != (second / name).read_bytes()
    copy = restored(tmp_path / "backups", tmp_path, monkeypatch)  # the newest
    assert (copy / part.relative_to(data)).read_bytes() == b"after an erasure"
    assert len(read_backup(first).files) == len(read_backup(third).files)


@pytest.mark.parametrize("damage", ["missing part", "truncated part", "damaged list"])
def test_a_damaged_previous_backup_is_not_relied_on(data, shops, tmp_path, monkeypatch, damage):
    first = back_up(data, shops, tmp_path / "backups", NOON, 0)
    [part] = archived_parts(first / "data" / "landing")
    if damage == "missing part":
        part.unlink()
    elif damage == "truncated part":
        part.write_bytes(part.read_bytes()[:-1])
    else:
        (first / LIST).write_text("{")
    second = back_up(data, shops, tmp_path / "backups", NOON.replace(hour=13), 0)
    [part] = archived_parts(landing_folder(data))
    copy = restored(second, tmp_path, monkeypatch)
    assert (copy / part.relative_to(data)).read_bytes() == part.read_bytes()


def test_a_damaged_backup_is_refused(data, shops, tmp_path, monkeypatch):
    backup = back_up(data, shops, tmp_path / "backups", NOON, 0)
    file = backup / "data" / "warehouse.duckdb"
    content = bytearray(file.read_bytes())
    content[5000] ^= 1
    file.write_bytes(content)
    with pytest.raises(BackupError, match=r"damaged \(data/warehouse\.duckdb\)"):
        restored(backup, tmp_path, monkeypatch)
    assert not (tmp_path / "restored").exists()
    (backup / LIST).write_text("{")
    with pytest.raises(BackupError, match="use another backup"):
        restored(backup, tmp_path, monkeypatch)
    with pytest.raises(BackupError, match="is not a backup and contains none"):
        restored(tmp_path / "config", tmp_path, monkeypatch)


def test_a_killed_backup_is_not_used_and_the_next_one_removes_it(data, shops, tmp_path, monkeypatch):
    def die(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(backing_up, "_check_warehouse", die)
        with pytest.raises(KeyboardInterrupt):
            back_up(data, shops, tmp_path / "backups", NOON, 0)
    with pytest.raises(BackupError, match="contains none"):
        restored(tmp_path / "backups", tmp_path, monkeypatch)
    monkeypatch.setenv("PIXELNOVA_DATA", str(data))
    backup = back_up(data, shops, tmp_path / "backups", NOON, 0)
    assert sorted(path.name for path in backup.parent.iterdir()) == [".lock", backup.name]


def test_an_interrupted_restoration_starts_over_and_keeps_new_events(data, shops, tmp_path, monkeypatch):
    backup = back_up(data, shops, tmp_path / "backups", NOON, 0)
    rename = Path.rename

    def die_at_the_warehouse(path: Path, target: Path) -> Path:
        if path.name == "warehouse.duckdb":
            raise KeyboardInterrupt
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", die_at_the_warehouse)
        with pytest.raises(KeyboardInterrupt):
            restored(backup, tmp_path, monkeypatch)
    copy = tmp_path / "restored"
    assert (copy / restoration.RESTORING).exists()
    new = land(landing_folder(copy), [line({"id": "new"})])
    with pytest.raises(BackupError, match="is not in the backup: move data/landing away"):
        restored(backup, tmp_path, monkeypatch)
    assert new.exists()
    new.unlink()
    restored(backup, tmp_path, monkeypatch)
    assert contents(copy) == {
        name: content for name, content in contents(data).items() if not name.startswith("collector")
    }


def test_refusals_name_the_remedy(data, shops, tmp_path, monkeypatch, pixelnova):
    backup = back_up(data, shops, tmp_path / "backups", NOON, 0)
    with pytest.raises(BackupError, match="is not empty"):
        restore(backup, data, shops)
    with pytest.raises(BackupError, match="within the data folder"):
        back_up(data, shops, data / "backups", NOON, 0)
    (tmp_path / "file").touch()
    with pytest.raises(BackupError, match="correct permissions"):
        back_up(data, shops, tmp_path / "file", NOON, 0)
    with warehouse_lock(), pytest.raises(WarehouseBusy):
        back_up(data, shops, tmp_path / "backups", NOON.replace(hour=13), 0)
    assert "is not empty" in one_line_reason(pixelnova("restore", backup, data=data, check=False))


def test_configuration_that_exists_is_kept_and_named(data, shops, tmp_path, monkeypatch):
    backup = back_up(data, shops, tmp_path / "backups", NOON, 0)
    shops.write_text(shops.read_text() + "# edited\n")
    monkeypatch.setenv("PIXELNOVA_DATA", str(tmp_path / "restored"))
    kept = restore(backup, tmp_path / "restored", shops).kept
    assert kept == [shops] and shops.read_text().endswith("# edited\n")
