import os
import shutil
import signal

import duckdb
import msgspec
import pytest
from dlt.normalize.normalize import Normalize
from dlt.pipeline.exceptions import PipelineStepFailed

from ingestion.landing import sealed_files
from ingestion.shops import RecommendationRules
from ingestion.sources.pixel import pixel_source
from ingestion.sources.shops import shops_source
from ingestion.warehouse import (
    archive_loaded,
    landing_folder,
    not_loaded,
    open_pipeline,
    outdated_user_agents,
    reset_ledger,
    warehouse_file,
    workspace,
)
from tests import landing_files

AGENT = "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)"
PHONE = (
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36"
)
TABLET = (
    "Mozilla/5.0 (Linux; Android 14; SM-X710) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
LAPTOP = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0"


def line(number: int, user_agent: str = "Browser") -> bytes:
    event = {"id": f"e{number}", "name": "n", "context": {"navigator": {"userAgent": user_agent}}}
    return landing_files.line(event, index=number)


def land(data, *lines: bytes):
    return landing_files.land(landing_folder(data), lines)


def load(data):
    pipeline = open_pipeline("pixel", data)
    files = sealed_files(landing_folder(data))
    pipeline.run(pixel_source(not_loaded(files, data), workspace(data)))
    return files


def query(data, sql):
    with duckdb.connect(str(warehouse_file(data)), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_landing_files_are_loaded_once_and_then_archived(tmp_path):
    land(tmp_path, line(1), line(2))
    files = load(tmp_path)
    assert not_loaded(files, tmp_path) == []
    load(tmp_path)  # killed before it could archive: the ledger knows the file
    assert query(tmp_path, "select count(*) from raw_pixel.events") == [(2,)]
    assert len(archive_loaded(files, tmp_path)) == 1
    assert sealed_files(landing_folder(tmp_path)) == []
    land(tmp_path, line(3))
    load(tmp_path)
    assert query(tmp_path, "select index from raw_pixel.events order by all") == [(1,), (2,), (3,)]


def test_files_sealed_late_but_written_early_are_loaded(tmp_path):
    early, late = land(tmp_path, line(1)), land(tmp_path, line(2))
    hidden = early.rename(early.with_suffix(".hidden"))
    os.utime(hidden, (1, 1))
    load(tmp_path)
    archive_loaded([late], tmp_path)
    hidden.rename(early)
    load(tmp_path)
    assert query(tmp_path, "select index from raw_pixel.events order by all") == [(1,), (2,)]


def test_unreadable_lines_are_stored_with_the_reason(tmp_path):
    land(tmp_path, line(1), b"this is not JSON\n", b'{"v":1}\n', b"\xff\xfe\n", line(2))
    land(tmp_path, b"only this\n")
    load(tmp_path)
    assert query(tmp_path, "select index from raw_pixel.events order by all") == [(1,), (2,)]
    found = query(
        tmp_path, "select line_number, line, reason from raw_pixel.unreadable_lines order by line, line_number"
    )
    assert [(number, text) for number, text, _ in found] == [
        (4, "\\xff\\xfe"),
        (1, "only this"),
        (2, "this is not JSON"),
        (3, '{"v":1}'),
    ]
    assert all(reason for *_, reason in found)
    assert query(tmp_path, "select events, unreadable_lines from raw_pixel.landing_files order by all") == [
        (0, 1),
        (2, 3),
    ]


UNFIT = [
    b"this is not JSON\n",
    b'{"v":1}\n',
    b"{}\n",
    b"[]\n",
    line(9).replace(b'"v":1', b'"v":2'),
    line(9).replace(b'"shop":"a.myshopify.com"', b'"shop":null'),
    landing_files.line(b"null"),
    landing_files.line(b'"text"'),
    landing_files.line(b"[1]"),
]


def test_valid_and_invalid_files_load_in_any_order(tmp_path):
    for number, lines in enumerate([[line(1)], [line(2), *UNFIT], [line(3)], UNFIT, [line(4)]], start=1):
        land(tmp_path, *lines)
        archive_loaded(load(tmp_path), tmp_path)
        assert len(query(tmp_path, "select * from raw_pixel.landing_files")) == number
    assert query(tmp_path, "select index from raw_pixel.events order by all") == [(1,), (2,), (3,), (4,)]
    unreadable = query(tmp_path, "select line from raw_pixel.unreadable_lines order by 1")
    assert unreadable == sorted([(unfit.decode().strip(),) for unfit in UNFIT] * 2)


@pytest.mark.parametrize("depth", [100, 500, 900])
def test_a_deeply_nested_event_is_loaded(tmp_path, depth):
    land(tmp_path, line(1).replace(b'"name":"n"', b'"name":"n","x":' + b"[" * depth + b"]" * depth), line(2))
    load(tmp_path)
    assert query(tmp_path, "select index, event ->> '$.id' from raw_pixel.events order by all") == [
        (1, "e1"),
        (2, "e2"),
    ]


def test_loads_leave_no_files_outside_landing_and_warehouse(tmp_path):
    land(tmp_path, line(1), b"no envelope\n")
    archive_loaded(load(tmp_path), tmp_path)
    left = [path for path in (tmp_path / "dlt").rglob("*") if path.suffix in {".parquet", ".jsonl"}]
    assert left == []


def test_both_read_paths_give_the_same_rows(tmp_path):
    odd = b'"price" : 1.50, "big":' + b"9" * 40 + rb', "text":"\u00e9\ud83d\ude00"'
    lines = [
        line(1),
        line(2).replace(b'"name":"n"', b'"name": "n", ' + odd),
        line(3).replace(b'"consent":null', b'"consent":{"analyticsProcessingAllowed":true,"marketingAllowed":false}'),
    ]
    for folder, extra in (("fast", []), ("slow", [b"no envelope\n"])):
        (tmp_path / folder).mkdir()
        land(tmp_path / folder, *lines, *extra)
        load(tmp_path / folder)
    all_columns = "select * exclude (landing_file, load_began_at) from raw_pixel.events order by index"
    fast = query(tmp_path / "fast", all_columns)
    assert len(fast) == 3
    assert fast == query(tmp_path / "slow", all_columns)


def test_a_load_without_files_creates_the_tables(tmp_path):
    load(tmp_path)
    for table in ("events", "unreadable_lines", "user_agents", "landing_files"):
        assert query(tmp_path, f"select count(*) from raw_pixel.{table}") == [(0,)]


def test_a_killed_load_is_finished_by_the_next_one(tmp_path):
    file = land(tmp_path, line(1))
    pipeline = open_pipeline("pixel", tmp_path)
    pipeline.extract(pixel_source([file], workspace(tmp_path)))
    del pipeline  # the process dies between extracting and loading
    assert load(tmp_path) == [file]
    assert query(tmp_path, "select count(*) from raw_pixel.events") == [(1,)]


def test_an_interrupt_during_a_load_reaches_the_caller_at_once(tmp_path, monkeypatch):
    """dlt's own handler would remember the signal, and forget it if the step ends before it looks."""

    normalize = Normalize.run
    former = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background has it ignored

    def interrupted(self, pool):
        os.kill(os.getpid(), signal.SIGINT)
        return normalize(self, pool)

    monkeypatch.setattr(Normalize, "run", interrupted)
    try:
        with pytest.raises(PipelineStepFailed) as caught:
            open_pipeline("interrupted", tmp_path).run([{"id": 1}], table_name="rows")
    finally:
        signal.signal(signal.SIGINT, former)
    assert type(caught.value.__cause__) is KeyboardInterrupt


def test_user_agents_are_classified_by_bundled_lists(tmp_path):
    land(tmp_path, line(1), *(line(number, agent) for number, agent in enumerate((AGENT, PHONE, TABLET, LAPTOP), 2)))
    load(tmp_path)
    found = query(tmp_path, "select user_agent, is_bot, device from raw_pixel.user_agents")
    assert {agent: (is_bot, device) for agent, is_bot, device in found} == {
        "Browser": (False, "unknown"),
        AGENT: (True, "unknown"),
        PHONE: (False, "mobile"),
        TABLET: (False, "tablet"),
        LAPTOP: (False, "desktop"),
    }


def test_user_agents_are_reclassified_when_the_lists_change(tmp_path):
    land(tmp_path, line(1, PHONE))
    load(tmp_path)
    assert outdated_user_agents(tmp_path) == []
    with duckdb.connect(str(warehouse_file(tmp_path))) as connection:
        connection.execute("update raw_pixel.user_agents set device = 'spoon', classified_by = 'an older list'")
    assert outdated_user_agents(tmp_path) == [PHONE]
    open_pipeline("pixel", tmp_path).run(pixel_source([], workspace(tmp_path), outdated_user_agents(tmp_path)))
    assert query(tmp_path, "select user_agent, device from raw_pixel.user_agents") == [(PHONE, "mobile")]


def test_the_archive_restores_a_lost_warehouse(tmp_path):
    """The archive has one part per shop, and one for unreadable lines."""
    old, new = tmp_path / "old", tmp_path / "new"
    lines = [landing_files.line({"id": f"e{n}"}, index=n, shop=f"{n % 2}.myshopify.com") for n in range(4)]
    landing_files.land(landing_folder(old), [*lines, b"no envelope\n"])
    archive_loaded(load(old), old)
    shutil.copytree(landing_folder(old), landing_folder(new))
    load(new)
    for rows in (
        "select * exclude (load_began_at) from raw_pixel.events order by index",
        "select landing_file, line, reason from raw_pixel.unreadable_lines",
    ):
        assert query(new, rows) == query(old, rows)
    ledger = "select landing_file, events, unreadable_lines, newest_received_at from raw_pixel.landing_files"
    assert query(new, ledger) == query(old, ledger)
    assert not_loaded([], new) == []


def test_after_a_ledger_reset_half_archived_files_load_once(tmp_path):
    file = land(tmp_path, line(1), line(2))
    whole = file.read_bytes()
    archive_loaded(load(tmp_path), tmp_path)
    file.write_bytes(whole)  # killed before it could remove the file
    reset_ledger(tmp_path)
    assert query(tmp_path, "select count(*) from raw_pixel.events") == [(0,)]
    load(tmp_path)
    assert query(tmp_path, "select index from raw_pixel.events order by all") == [(1,), (2,)]


def test_the_shops_table_mirrors_shops_toml(tmp_path, shop):
    open_pipeline("shops", tmp_path).run(shops_source([shop]))
    renamed = msgspec.structs.replace(shop, name="Another name")
    open_pipeline("shops", tmp_path).run(shops_source([renamed]))
    assert query(tmp_path, "select domain, name, timezone, currency from raw_shops.shops") == [
        (shop.domain, "Another name", shop.timezone, shop.currency)
    ]


def test_rules_use_the_warehouses_product_names(tmp_path, shop):
    rules = RecommendationRules(
        exclude=["Old-Skillet ", 7300000135698], pin_beside={"gid://shopify/Product/7": ["gid://shopify/Product/8"]}
    )
    open_pipeline("shops", tmp_path).run(shops_source([msgspec.structs.replace(shop, recommendations=rules)]))
    assert query(tmp_path, "select rule, beside, product, place from raw_shops.recommendation_rules order by all") == [
        ("exclude", None, "7300000135698", 2),
        ("exclude", None, "old-skillet", 1),
        ("pin", "7", "8", 1),
    ]
