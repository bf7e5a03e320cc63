import os
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.landing import (
    UNREADABLE,
    OpenLandingFile,
    archive,
    decode_envelope,
    open_files,
    read_lines,
    recover,
    sealed_files,
)
from tests.landing_files import land, line

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)


@settings(deadline=None)
@given(json_values, st.booleans())
def test_events_round_trip_through_landing_lines(value, pretty):
    event = msgspec.json.encode(value)
    if pretty:
        event = msgspec.json.format(event, indent=2).replace(b"\n", b"\r\n")
    landed = line({"value": msgspec.Raw(event)})
    assert landed.count(b"\n") == 1
    assert landed.endswith(b"\n")
    assert msgspec.json.decode(decode_envelope(landed.rstrip(b"\n")).event) == {"value": value}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "truncated"),
        (b"not json", "malformed"),
        (b'{"v":1}', "missing required field"),
        (line({"id": "e1"}).replace(b'"id"', b'"\xff"'), "not UTF-8"),
        (line(b'{"x":' + b"[" * 20_000 + b"]" * 20_000 + b"}"), "recursion"),
        (line({}, v=2), "version 2"),
        (line(b"null"), "not a JSON object"),
        (line(b'"text"'), "not a JSON object"),
    ],
)
def test_invalid_lines_are_refused_with_the_reason(text, reason):
    with pytest.raises(ValueError, match=reason):
        decode_envelope(text)


def test_the_loader_sees_only_sealed_files(tmp_path):
    file = OpenLandingFile(tmp_path)
    file.append(b"one\n")
    assert (len(open_files(tmp_path)), sealed_files(tmp_path)) == (1, [])
    sealed = file.seal()
    assert (open_files(tmp_path), sealed_files(tmp_path)) == ([], [sealed])
    assert sealed.read_bytes() == b"one\n"


def test_an_empty_file_leaves_nothing_behind(tmp_path):
    OpenLandingFile(tmp_path).seal()
    assert sealed_files(tmp_path) == open_files(tmp_path) == []


def test_recovery_drops_a_dead_writers_torn_line_and_seals_the_file(tmp_path):
    dead = OpenLandingFile(tmp_path)
    dead.append(b"whole\n")
    os.write(dead._descriptor, b"half a li")
    dead.abandon()
    [sealed] = recover(tmp_path)
    assert sealed.read_bytes() == b"whole\n"
    assert open_files(tmp_path) == []


def test_recovery_skips_files_of_living_writers(tmp_path):
    living = OpenLandingFile(tmp_path)
    living.append(b"one\n")
    assert recover(tmp_path) == []
    living.append(b"two\n")
    assert living.seal().read_bytes() == b"one\ntwo\n"


def test_a_failed_write_is_rolled_back(tmp_path, monkeypatch):
    file = OpenLandingFile(tmp_path)
    file.append(b"one\n")
    real_write = os.write

    def write_half_then_fail(descriptor, data):
        if bytes(data).startswith(b"tw"):
            return real_write(descriptor, bytes(data)[:2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", write_half_then_fail)
    with pytest.raises(OSError, match="No space"):
        file.append(b"two\n")
    monkeypatch.setattr(os, "write", real_write)
    file.append(b"three\n")
    assert file.seal().read_bytes() == b"one\nthree\n"


def test_the_archive_is_partitioned_by_shop_and_utc_day(tmp_path):
    in_tokyo = datetime(2026, 11, 23, 8, 0, tzinfo=timezone(timedelta(hours=9)))
    lines = [
        line(b'{"id":"1"}'),
        line(b'{"id":"2"}', shop="b.myshopify.com"),
        line(b'{"id":"3"}', received_at=in_tokyo),
        b"no envelope\n",
        line(b'{"id":"4"}', received_at=datetime(2026, 11, 23, tzinfo=UTC)),
    ]
    file = land(tmp_path, lines)
    parts = {(part.parent.parent.name, part.parent.name): list(read_lines(part)) for part in archive(file)}
    bare = [text.rstrip(b"\n") for text in lines]
    assert parts == {
        ("shop=a.myshopify.com", "received_date=2026-11-22"): [bare[0], bare[2]],
        ("shop=b.myshopify.com", "received_date=2026-11-22"): [bare[1]],
        ("shop=a.myshopify.com", "received_date=2026-11-23"): [bare[4]],
        (f"shop={UNREADABLE}", "received_date=unknown"): [bare[3]],
    }
    assert not file.exists()


def test_archiving_again_after_a_crash_writes_the_same_parts(tmp_path):
    lines = [line({"id": number}) for number in range(5)]
    file = land(tmp_path, lines)
    content = file.read_bytes()
    first = archive(file)
    file.write_bytes(content)  # as if the process had died before it removed the landing file
    assert archive(file) == first
    assert [text + b"\n" for text in read_lines(first[0])] == lines
