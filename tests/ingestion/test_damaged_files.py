"""Truncated or corrupted landing files and archived parts: what can be read is loaded, the rest is reported."""

import duckdb
import pytest

from ingestion.data_folder import landing_folder, warehouse_file
from ingestion.landing import DamagedPart, archived_parts, read_lines
from ingestion.warehouse import reset_ledger
from tests.ingestion.test_killed_loads import land, line, load, raw

LINES = 1000  # several blocks of a compressed part
PARTS = {
    "whole": lambda part: part,
    "cut": lambda part: part[: len(part) * 3 // 4],
    "cut in its first block": lambda part: part[:1000],
    "empty": lambda part: b"",
    "a gzip file": lambda part: b"\x1f\x8b\x08" + bytes(range(256)),
    "not compressed": lambda part: line(1),
}
FILES = {  # content, events and unreadable lines
    "cut within a line": (line(0) + line(1)[:70], 1, 1),
    "zeros at its end": (line(0) + bytes(4096), 1, 1),
    "zeros": (bytes(4096), 0, 1),
    "empty": (b"", 0, 0),
    "a gzip file": (b"\x1f\x8b\x08" + bytes(64), 0, 1),
}


def part_of(data, file):
    [part] = [part for part in archived_parts(landing_folder(data)) if part.name.startswith(file.name)]
    return part


def test_damaged_parts_are_named_and_stop_nothing(tmp_path):
    files = [land(tmp_path, *(line(number) for number in range(LINES))) for _ in PARTS]
    load(tmp_path)
    parts = [part_of(tmp_path, file) for file in files]
    for part, damage in zip(parts, PARTS.values(), strict=True):
        part.write_bytes(damage(part.read_bytes()))
    warehouse_file(tmp_path).unlink()  # so that the archive is loaded again
    load(tmp_path)
    found = raw(tmp_path)
    assert found["ledger"][0] == (LINES, 0)
    assert [lines for _, lines in found["ledger"][1:]] == [1] * (len(PARTS) - 1)
    assert 0 < found["ledger"][1][0] < LINES  # what comes before the damage is kept
    assert [events for events, _ in found["ledger"][2:]] == [0] * (len(PARTS) - 2)
    with duckdb.connect(str(warehouse_file(tmp_path)), read_only=True) as connection:
        lost = connection.execute(
            "select shop, line, reason from raw_pixel.unreadable_lines order by landing_file"
        ).fetchall()
    assert {shop for shop, _, _ in lost} == {"a.myshopify.com"}
    assert [line for _, line, _ in lost] == [part.name for part in parts[1:]]
    assert all("restore it from a backup" in reason for _, _, reason in lost)
    load(tmp_path)
    assert raw(tmp_path) == found


def test_a_full_rebuild_keeps_the_events_of_a_damaged_part(tmp_path):
    file = land(tmp_path, *(line(number) for number in range(10)))
    load(tmp_path)
    part = part_of(tmp_path, file)
    before = raw(tmp_path)
    whole = part.read_bytes()
    part.write_bytes(whole[:-3])
    with pytest.raises(DamagedPart, match=part.name):
        list(read_lines(part))
    with pytest.raises(DamagedPart, match=part.name):
        reset_ledger(tmp_path)
    assert raw(tmp_path) == before
    part.write_bytes(whole)
    assert reset_ledger(tmp_path) == 1


def test_damaged_landing_files_load_what_they_have(tmp_path):
    for content, _, _ in FILES.values():
        land(tmp_path, line(9)).write_bytes(content)
    load(tmp_path)
    assert raw(tmp_path)["ledger"] == [(events, lines) for _, events, lines in FILES.values()]
    assert raw(tmp_path)["events"] == [(0,), (0,)]
