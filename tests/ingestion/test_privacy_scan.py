"""Personal data is found in every kind of file, without false positives."""

import gzip
import json
import pickle
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet
import pytest

from ingestion.landing import archive
from ingestion.privacy.patterns import KINDS, find
from ingestion.privacy.scan import Hit, ScanError, Text, found_in, scan, write_report
from tests.landing_files import land, line
from tests.staying_corpus import STAYING_OBJECTS, STAYS

PERSONAL = {
    "e-mail": [
        "ada.lovelace@example.com",
        "Ada <ada@mail.example.co.uk>, and others",
        "/?who=ada%40example.com&x=1",
        "/?who=ada%2540example.com",
        '{"x": "ada\\u0040example.com"}',
        "mailto:ada+shop@example.com?subject=x",
    ],
    "phone": [
        "+49 30 901820",
        "+4930901820",
        "+1 (555) 901-2345",
        "555-901-2345",
        "030 9018 2034",
        "tel:5559012345",
        "call me at 555 901 2345",
        "/search?q=%2B49+30+901820",
        '{"phone": "+49 30 901820"}',
    ],
    "card": [
        "4111111111111111",
        "4111 1111 1111 1111",
        "5555-5555-5555-4444",
        "paid with 378282246310005.",
        "6011111111111117",
    ],
    "account": ["DE02120300000000202051", "IBAN DE02 1203 0000 0000 2020 51", "GB82WEST12345698765432"],
    "token": [
        "shpat_0123456789abcdef0123456789abcdef",
        "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
        "https://shop.example/1/orders/5f6b/authenticate?key=0123456789abcdef",
        "/account/login?token=abcdef123456&x=1",
        "/?reset_token=abcdef123456",
    ],
    "ip": [
        "203.0.113.7",
        "from 203.0.113.7, port 80",
        "2001:db8:85a3::8a2e:370:7334",
        "2001:db8:0:1:1:1:1:1",
        "[203.0.113.7]",
    ],
}
HARMLESS = [
    *STAYS,
    *map(json.dumps, STAYING_OBJECTS),
    *[
        "4111111111111112",
        "0.4111111111111111",
        "4111111111111111x",
        "41111111111111111",
        "1795961383974569",
        "7999999999999",
    ],
    *["DE03120300000000202051", "SK12ABCD123456789", "a4111111111111111", "1795961383.9745698", "20261129T141014.463Z"],
    *["127.0.0.1", "10.1.2.3", "192.168.0.1", "0.0.0.0", "::1", "fe80::1:2:3:4", "14:10:14", "999.1.1.1", "1.2.3.4.5"],
    *[
        "Mozilla/5.0 Chrome/130.0.0.0 Safari/537.36",
        "rv:1.9.0.19",
        "v1.2.3.4",
        "dagster/1.13.0.1",
        "std::vector",
        "x::date",
    ],
    *[
        "/account?key=[removed]&token=[removed]",
        "?checkout_token=0123456789abcdef",
        "key=",
        "a@b",
        "image@2x.png",
        "@brand",
    ],
    *["2026-11-29 14:10:14 +0000 - dagster - 4711", "5f6b9a1e-1234-4123-8123-123456789012", "[e-mail] [phone] [card]"],
    "0123456789abcdef0123456789abcdef",
]


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in PERSONAL.items() for text in texts])
def test_personal_data_is_found_once(kind, text):
    assert [found.kind for found in find(text)] == [kind]


def test_ids_times_versions_and_products_are_not_found():
    taken = {text: list(found_in(Text("", text), set())) for text in HARMLESS}
    assert {text: found for text, found in taken.items() if found} == {}


def test_values_are_masked():
    [found] = find("ada.lovelace@example.com")
    assert found.masked == "ad…om"


def _landing(folder: Path, text: str) -> str:
    return land(folder, [line({"id": "1", "x": text})]).name


def _archive(folder: Path, text: str) -> str:
    [part] = archive(land(folder, [line({"id": "1", "x": text})]))
    return str(part.relative_to(folder))


def _file(name: str, content: Callable[[str], bytes]) -> Callable[[Path, str], str]:
    def write(folder: Path, text: str) -> str:
        (folder / name).write_bytes(content(text))
        return name

    return write


def _table(folder: Path, text: str, kind: str, value: Callable[[str], Any] = lambda text: text) -> str:
    with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
        connection.execute(f'create schema raw; create table raw.events (id bigint, "a text" {kind})')
        connection.execute("insert into raw.events values (1, null), (2, $value)", {"value": value(text)})
        connection.execute('create view raw.views as select "a text" from raw.events')
    return "warehouse.duckdb raw.events.a text"


def _sqlite(folder: Path, value: Any) -> str:
    with sqlite3.connect(folder / "runs.db") as connection:
        connection.execute("create table logs (id integer, event text)")
        connection.execute("insert into logs values (1, ?)", (value,))
    connection.close()
    return "runs.db logs.event"


def _parquet(folder: Path, text: str) -> str:
    pyarrow.parquet.write_table(pa.table({"id": [1, 2], "list": [["x"], [text]]}), folder / "lists.parquet")
    return "lists.parquet list"


PLACES: dict[str, Callable[[Path, str], str]] = {
    "landing file": _landing,
    "archive": _archive,
    "text": _file("refresh.log", lambda text: f"14:10:14 begins\nsent to {text}\n".encode()),
    "json": _file("lists.json", lambda text: json.dumps({"items": ["x" * 3_000_000, text, 1]}).encode()),
    "gzip": _file("old.log.gz", lambda text: gzip.compress(f"1\n{text}\n".encode())),
    "pickle": _file("trace.pickle", lambda text: pickle.dumps({"a": [1, text]})),
    "damaged database": _file(
        "old.duckdb", lambda text: b"\0" * 8 + b"DUCK" + b"\0" * 4096 + text.encode() + b"\0" * 99
    ),
    "cut-off gzip": _file("cut.gz", lambda text: b"\x1f\x8b\x08\x00" + f" {text} ".encode()),
    "table": lambda folder, text: _table(folder, text, "varchar"),
    "table of lists": lambda folder, text: _table(folder, text, "varchar[]", lambda text: ["x", text]),
    "table of structs": lambda folder, text: _table(folder, text, "struct(a varchar)", lambda text: {"a": text}),
    "table of json": lambda folder, text: _table(folder, text, "json", lambda text: json.dumps({"a": {"b": text}})),
    "sqlite": _sqlite,
    "sqlite blob": lambda folder, text: _sqlite(folder, pickle.dumps(text)),
    "parquet": _parquet,
}


@pytest.mark.parametrize("place", PLACES)
def test_every_kind_is_found_in_every_kind_of_file(tmp_path, place):
    for kind in KINDS:
        folder = tmp_path / kind
        folder.mkdir()
        where = PLACES[place](folder, PERSONAL[kind][0])
        assert [(hit.where, hit.kind, hit.count) for hit in scan(folder)] == [(where, kind, 1)]
        clean = tmp_path / f"no {kind}"
        clean.mkdir()
        PLACES[place](clean, "nothing personal")
        assert scan(clean) == []


def test_values_cut_by_blocks_are_found(tmp_path):
    values = [f"person{number}@example.com" for number in range(200_000)]
    (tmp_path / "one line.json").write_text(json.dumps(values))
    assert [hit.count for hit in scan(tmp_path)] == [len(values)]


def test_each_row_counts_and_versions_in_user_agents_do_not(tmp_path):
    with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
        connection.execute(
            "create table visits as "
            "select 'Agent 8.8.8.8 ada@example.com' as user_agent, '8.8.8.8' as remark from range(3)"
        )
    assert [(hit.where, hit.kind, hit.count) for hit in scan(tmp_path)] == [
        ("w.duckdb main.visits.remark", "ip", 3),
        ("w.duckdb main.visits.user_agent", "e-mail", 3),
    ]


def test_links_are_not_followed(tmp_path):
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "a.json").write_text('"ada@example.com"')
    (tmp_path / "current").symlink_to("v1")
    (tmp_path / "b.json").symlink_to("v1/a.json")
    seen = []
    assert [hit.where for hit in scan(tmp_path, on_file=seen.append)] == ["v1/a.json"]
    assert seen == [tmp_path / "v1" / "a.json"]


def test_a_warehouse_in_use_is_named(tmp_path):
    file = tmp_path / "warehouse.duckdb"
    code = f"import duckdb; c = duckdb.connect({str(file)!r}); print('open', flush=True); input()"
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(ScanError, match="is open in another process"):
            scan(tmp_path)
    finally:
        holder.communicate(b"\n")
    assert scan(tmp_path) == []


def test_the_report_is_written_whole_or_not_at_all(tmp_path):
    hits = [Hit("a.json", "e-mail", 2, "ad…om")]
    write_report(tmp_path / "report.json", hits)
    assert json.loads((tmp_path / "report.json").read_text()) == [
        {"where": "a.json", "kind": "e-mail", "count": 2, "example": "ad…om"}
    ]
    assert [file.name for file in tmp_path.iterdir()] == ["report.json"]
    with pytest.raises(ScanError, match="cannot be written"):
        write_report(tmp_path / "nowhere" / "report.json", hits)
