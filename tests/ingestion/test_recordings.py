import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from ingestion.recordings import RecordingError, recorded_posts
from ingestion.shops import Shop, ShopsFileError

A = Shop("a.myshopify.com", "A", "UTC", "EUR", ["key-of-shop-a"])
B = Shop("b.myshopify.com", "B", "UTC", "EUR", ["key-of-shop-b"])


def posts(*files):
    return [(post.key, json.loads(post.body)["events"]) for post in recorded_posts(files, [A, B], A)]


@pytest.mark.parametrize(
    "text",
    [
        '{"id":"1"}\n{"id":"2"}\n',
        '[{"id":"1"},{"id":"2"}]',
        '[{"id":"1"}]\n\n{"id":"2"}',
        '[\n  {"id": "1"},\n  {"id": "2"}\n]\n',
    ],
)
def test_json_and_jsonl_are_distinguished(tmp_path, text):
    file = tmp_path / "events.json"
    file.write_text(text)
    assert posts(file) == [("key-of-shop-a", [{"id": "1"}]), ("key-of-shop-a", [{"id": "2"}])]


def test_envelopes_go_to_their_own_shop_with_their_consent(tmp_path):
    file = tmp_path / "landing.jsonl"
    consent = {"analyticsProcessingAllowed": True}
    recorded = {"v": 1, "shop": B.domain, "consent": consent, "gpc": True, "event": {"id": "1"}}
    file.write_text(json.dumps(recorded) + "\n")
    [post] = recorded_posts([file], [A, B], A)
    assert post.key == "key-of-shop-b"
    assert json.loads(post.body) == {
        "pixel_version": None,
        "consent": consent,
        "gpc": True,
        "user_agent": None,
        "events": [{"id": "1"}],
    }


@pytest.mark.parametrize(
    ("recorded", "agent"),
    [
        (
            {"v": 1, "shop": A.domain, "user_agent": "Mozilla/5.0 (iPhone)", "event": {"id": "1"}},
            "Mozilla/5.0 (iPhone)",
        ),
        ({"v": 1, "shop": A.domain, "user_agent": None, "event": {"id": "1"}}, None),
        ({"v": 1, "shop": A.domain, "event": {"id": "1"}}, None),
        ({"id": "1"}, None),
    ],
)
def test_envelopes_keep_their_user_agent_or_null(tmp_path, recorded, agent):
    file = tmp_path / "landing.jsonl"
    file.write_text(json.dumps(recorded) + "\n")
    [post] = recorded_posts([file], [A], A)
    assert json.loads(post.body)["user_agent"] == agent


def test_numbers_are_replayed_exactly(tmp_path):
    file = tmp_path / "event.json"
    event = '{"id":"1","price":1.50,"big":' + "9" * 400 + "}"
    file.write_text(event)
    [post] = recorded_posts([file], [A], A)
    assert event.encode() in post.body


def test_dash_reads_standard_input(monkeypatch):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b'{"id":"1"}\n{"id":"2"}\n')))
    assert len(posts(Path("-"))) == 2


def test_unknown_shops_are_reported(tmp_path):
    file = tmp_path / "landing.jsonl"
    file.write_text('{"shop":"c.myshopify.com","event":{}}')
    with pytest.raises(ShopsFileError, match=r"c\.myshopify\.com is not in"):
        posts(file)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [('{"id":"1"}\nnot json\n', "line 2, is not JSON"), ("5", "not an event"), ('{"id":"1"}\n"x"\n', "line 2")],
)
def test_invalid_recordings_are_refused_with_their_place(tmp_path, text, complaint):
    file = tmp_path / "events.jsonl"
    file.write_text(text)
    with pytest.raises(RecordingError, match=complaint):
        posts(file)


def test_missing_files_are_reported(tmp_path):
    with pytest.raises(RecordingError, match=r"nowhere\.json cannot be read"):
        posts(tmp_path / "nowhere.json")
