import asyncio
import json
import os
import threading
from contextlib import asynccontextmanager
from types import SimpleNamespace

import httpx
import msgspec
import pytest

from ingestion.collector import app, served_shops
from ingestion.collector.app import MAX_BODY_BYTES, Collector, CollectorSettings
from ingestion.landing import decode_envelope, read_lines, sealed_files
from tests.conftest import PROJECT

EVENT = {"id": "sh-1", "name": "page_viewed", "clientId": "c", "timestamp": "2026-11-22T10:00:00.000Z"}


@asynccontextmanager
async def running(shop, folder, **settings):
    """The running collector, with an HTTP client."""
    collector = Collector(CollectorSettings([shop], folder, folder / "salts", **settings))
    to_app, from_app = asyncio.Queue(), asyncio.Queue()
    life = asyncio.create_task(collector({"type": "lifespan"}, to_app.get, from_app.put))
    await to_app.put({"type": "lifespan.startup"})
    await from_app.get()
    transport = httpx.ASGITransport(collector, raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://collector") as client:
        url = f"/v1/events/{shop.ingest_keys[0]}"
        yield SimpleNamespace(client=client, url=url, post=lambda body, **more: client.post(url, content=body, **more))
    await to_app.put({"type": "lifespan.shutdown"})
    await life


def collect(shop, folder, body, **more) -> tuple[httpx.Response, list]:
    """The response to one body, and the stored envelopes."""

    async def talk():
        async with running(shop, folder) as collector:
            return await collector.post(body if isinstance(body, bytes) else json.dumps(body), **more)

    answer = asyncio.run(talk())
    return answer, [decode_envelope(line) for file in sealed_files(folder) for line in read_lines(file)]


def ids(file) -> list[str]:
    return [json.loads(bytes(decode_envelope(line).event))["id"] for line in read_lines(file)]


@pytest.mark.parametrize("body", [EVENT, [EVENT], {"events": [EVENT]}])
def test_events_arrays_and_batches_get_204(shop, tmp_path, body):
    answer, stored = collect(shop, tmp_path, body)
    assert (answer.status_code, answer.content) == (204, b"")
    assert [json.loads(bytes(envelope.event)) for envelope in stored] == [EVENT]
    assert stored[0].shop == shop.domain


def test_event_bytes_are_stored_unchanged(shop, tmp_path):
    event = b'{"name": "page_viewed","amount":1.50, "id":"sh-1", "big":12345678901234567890123}'
    _, stored = collect(shop, tmp_path, b'{"events":[ ' + event + b" ]}")
    assert bytes(stored[0].event) == event


def test_envelope_has_the_request_metadata(shop, tmp_path):
    page = {"context": {"document": {"location": {"host": shop.hosts[1]}}}}
    batch = {"pixel_version": "7", "consent": {"analyticsProcessingAllowed": True}, "events": [EVENT | page]}
    headers = {"origin": "null", "sec-gpc": "1", "user-agent": "Browser/1"}
    _, [envelope] = collect(shop, tmp_path, batch, headers=headers)
    assert (envelope.origin, envelope.gpc, envelope.user_agent) == ("null", True, "Browser/1")
    assert (envelope.pixel_version, envelope.host_ok) == ("7", True)
    assert envelope.consent.analyticsProcessingAllowed is True


@pytest.mark.parametrize(("stated", "gpc"), [(True, True), (False, False), (None, False)])
def test_senders_without_the_header_state_global_privacy_control(shop, tmp_path, stated, gpc):
    _, [envelope] = collect(shop, tmp_path, {"gpc": stated, "events": [EVENT]})
    assert envelope.gpc is gpc
    _, [envelope] = collect(shop, tmp_path / "header", {"gpc": False, "events": [EVENT]}, headers={"sec-gpc": "1"})
    assert envelope.gpc is True


@pytest.mark.parametrize(("host", "host_ok"), [("elsewhere.example", False), (None, None)])
def test_events_from_other_hosts_are_flagged_not_refused(shop, tmp_path, host, host_ok):
    answer, [envelope] = collect(shop, tmp_path, EVENT | {"context": {"document": {"location": {"host": host}}}})
    assert (answer.status_code, envelope.host_ok) == (204, host_ok)


@pytest.mark.parametrize("body", [{"events": [EVENT]}, EVENT])
def test_without_consent_nothing_is_stored(shop, tmp_path, body):
    answer, stored = collect(shop, tmp_path, {"consent": {"analyticsProcessingAllowed": False}} | body)
    assert (answer.status_code, stored) == (204, [])


REFUSED, ALLOWED = {"analyticsProcessingAllowed": False}, {"analyticsProcessingAllowed": True}


@pytest.mark.parametrize(
    "body",
    [
        [EVENT, EVENT | {"id": "sh-2", "consent": REFUSED}],
        {"events": [EVENT, EVENT | {"id": "sh-2", "consent": REFUSED}]},
        {"consent": ALLOWED, "events": [EVENT, EVENT | {"id": "sh-2", "consent": REFUSED}]},
        [EVENT, EVENT | {"id": "sh-2", "customerPrivacy": REFUSED}],
        [EVENT, {"name": "no id", "consent": REFUSED}],
        [EVENT, EVENT | {"id": "sh-2", "x": "x" * 33_000, "consent": REFUSED}],
    ],
)
def test_consent_within_an_event_counts_in_arrays_too(shop, tmp_path, body):
    answer, stored = collect(shop, tmp_path, body)
    assert (answer.status_code, [json.loads(bytes(envelope.event))["id"] for envelope in stored]) == (204, ["sh-1"])
    assert not (tmp_path / "rejected").exists()


def test_events_with_required_consent_are_stored_with_it(shop, tmp_path):
    strict = msgspec.structs.replace(shop, require_consent=True)
    _, stored = collect(strict, tmp_path, [EVENT, EVENT | {"id": "sh-2", "consent": ALLOWED}])
    assert [json.loads(bytes(envelope.event))["id"] for envelope in stored] == ["sh-2"]
    assert stored[0].consent.analyticsProcessingAllowed is True


@pytest.mark.parametrize("consent", ["yes", 1, ["analyticsProcessingAllowed"], {"analyticsProcessingAllowed": "no"}])
def test_events_with_unreadable_consent_are_rejected(shop, tmp_path, consent):
    answer, stored = collect(shop, tmp_path, [EVENT, EVENT | {"id": "sh-2", "consent": consent}])
    assert (answer.status_code, len(stored)) == (200, 1)
    assert answer.json()["rejected"][0]["index"] == 1


@pytest.mark.parametrize(
    ("header", "batch", "kept"),
    [
        ("Mozilla/5.0 (X11)", {}, "Mozilla/5.0 (X11)"),
        ("python-httpx/0.28.1", {}, None),
        ("curl/8.5.0", {}, None),
        ("node", {}, None),
        ("Go-http-client/2.0", {}, None),
        ("Googlebot/2.1 (+http://www.google.com/bot.html)", {}, "Googlebot/2.1 (+http://www.google.com/bot.html)"),
        ("Examplebot (owner@example.com)", {}, "Examplebot ([e-mail])"),
        ("Mozilla/5.0 (X11)", {"user_agent": "Mozilla/5.0 (iPhone)"}, "Mozilla/5.0 (iPhone)"),
        ("Mozilla/5.0 (X11)", {"user_agent": None}, None),
        ("python-httpx/0.28.1", {"user_agent": "Mozilla/5.0 (iPhone)"}, "Mozilla/5.0 (iPhone)"),
    ],
)
def test_user_agent_is_the_shoppers_or_null(shop, tmp_path, header, batch, kept):
    _, [envelope] = collect(shop, tmp_path, {"events": [EVENT]} | batch, headers={"user-agent": header})
    assert envelope.user_agent == kept


def test_valid_events_of_a_batch_are_stored_and_invalid_ones_reported(shop, tmp_path):
    bodies = [EVENT, {"name": "no id"}, {"id": "", "name": "x"}, 5, EVENT | {"id": "sh-2"}]
    answer, stored = collect(shop, tmp_path, bodies)
    assert answer.status_code == 200
    content = answer.json()
    assert (content["accepted"], [rejection["index"] for rejection in content["rejected"]]) == (2, [1, 2, 3])
    assert [envelope.index for envelope in stored] == [0, 4]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"no json", 400),
        (b"null", 400),
        (b'"text"', 400),
        (b'{"id":"1"}', 400),
        (b'{"id":"1","name":"n"', 400),
        (b'{"id":"1","name":"n"}garbage', 400),
        (b'{"id":"1","name":"n","x":"\xff"}', 400),
        (b'{"id":"1","name":"n","x":"\n"}', 400),
        (b'{"id":"1","name":"n","x":NaN}', 400),
        (rb'{"id":"1","name":"n","x":"\q"}', 400),
        (rb'{"id":"1","name":"n","x":"\ud800"}', 400),
        (b'{"id":"1","name":"n","x":01}', 400),
        (b'{"id":"1","name":"n","x":[1,]}', 400),
        (b'{"id":"1","name":"n",}', 400),
        (b'\xef\xbb\xbf{"id":"1","name":"n"}', 400),
        (b'{"id":"1","name":"n","x":' + b"[" * 20_000 + b"]" * 20_000 + b"}", 400),
        (b'{"id":"1","name":"n","x":"' + b"x" * 33_000 + b'"}', 413),
        (b'{"id":"1","name":"n","x":"' + b"x" * MAX_BODY_BYTES + b'"}', 413),
        (json.dumps([EVENT] * 101).encode(), 413),
    ],
)
def test_invalid_bodies_are_refused_with_a_reason(shop, tmp_path, body, status):
    answer, stored = collect(shop, tmp_path, body)
    assert (answer.status_code, stored) == (status, [])
    assert answer.json().get("error") or answer.json()["rejected"]


@pytest.mark.parametrize(
    "value", [b'"\\u0000"', b"9" * 400, b"1e999", b"[" * 500 + b"]" * 500, '"\u2028"'.encode(), b'1,"x":2']
)
def test_unusual_but_valid_json_is_stored(shop, tmp_path, value):
    answer, stored = collect(shop, tmp_path, b'{"id":"1","name":"n","x":' + value + b"}")
    assert (answer.status_code, len(stored)) == (204, 1)


def test_unknown_keys_get_401_and_every_response_mirrors_the_origin(shop, tmp_path):
    async def talk():
        async with running(shop, tmp_path) as collector:
            headers = {"origin": "null"}
            return [
                await collector.client.post("/v1/events/unknown-key", content="{}", headers=headers),
                await collector.client.options(collector.url, headers=headers),
                await collector.client.get(collector.url, headers=headers),
                await collector.client.get("/healthz", headers=headers),
                await collector.client.get("/nowhere", headers=headers),
                await collector.post(b"no json", headers=headers),
            ]

    answers = asyncio.run(talk())
    assert [answer.status_code for answer in answers] == [401, 204, 405, 200, 404, 400]
    assert {answer.headers["access-control-allow-origin"] for answer in answers} == {"null"}


def test_keys_added_to_and_removed_from_shops_toml_take_effect(shop, tmp_path, caplog):
    file = tmp_path / "shops.toml"
    text = (PROJECT / "shops.toml").read_text()

    def write(content: str) -> None:
        (tmp_path / "new").write_text(content)
        (tmp_path / "new").replace(file)

    async def talk():
        async with running(shop, tmp_path / "landing", shops_file=file) as collector:

            async def statuses(*keys):
                await asyncio.sleep(served_shops.LOOKS_APART_SECONDS + 0.05)
                posts = [await collector.client.post(f"/v1/events/{key}", content=json.dumps(EVENT)) for key in keys]
                return [answer.status_code for answer in posts]

            old, new = shop.ingest_keys[0], "a-new-key-of-the-shop"
            found = [await statuses(old, new)]
            write(text.replace(f'["{old}"]', f'["{old}", "{new}"]'))
            found.append(await statuses(old, new))
            write(text.replace("USD", "XYZ"))
            found.append(await statuses(old, new, "yet-another-key"))
            write(text.replace(old, new))
            async with asyncio.timeout(60):  # no unknown key comes in: the periodic check must find the change
                while (await collector.client.post(f"/v1/events/{old}", content=b"[]")).status_code != 401:
                    await asyncio.sleep(0.1)
            found.append(await statuses(old, new))
            file.unlink()
            found.append(await statuses("yet-another-key", new))
            return found

    write(text)
    assert asyncio.run(talk()) == [[204, 401], [204, 204], [204, 204, 401], [401, 204], [401, 204]]
    assert "currency is 'XYZ'" in caplog.text
    assert "does not exist" in caplog.text


def test_internal_errors_get_500_with_cors_headers(shop, tmp_path, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(app, "parse_body", fail)
    answer, _ = collect(shop, tmp_path, EVENT, headers={"origin": "null"})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (500, "null")


def test_metrics_count_events_by_outcome(shop, tmp_path):
    async def talk():
        async with running(shop, tmp_path) as collector:
            await collector.post(json.dumps([EVENT, EVENT, {"id": "x"}]))
            await collector.post(json.dumps({"consent": {"analyticsProcessingAllowed": False}, "events": [EVENT]}))
            await collector.post(b"no json")
            await collector.post(json.dumps([EVENT, EVENT | {"x": "x" * 33_000}]))
            await collector.post(json.dumps([EVENT | {"email": "a", "who": "a@b.example"}, EVENT | {"phone": 1}]))
            return (await collector.client.get("/metrics")).text

    text = asyncio.run(talk())
    for line in ('stored"} 5.0', 'consent_refused"} 1.0'):
        assert f'pixelnova_collector_events_total{{outcome="{line}' in text
    for line in ('malformed"} 2.0', 'too_large"} 1.0'):
        assert f'pixelnova_collector_rejected_total{{reason="{line}' in text
    for line in ('key"} 2.0', 'email"} 1.0', 'ip_v4"} 0.0'):
        assert f'pixelnova_collector_personal_data_removed_total{{rule="{line}' in text


@pytest.fixture
def disk_may_sync(monkeypatch):
    """An event; every sync blocks until it is set."""
    allowed, real_sync = threading.Event(), os.fdatasync

    def sync_when_allowed(descriptor):
        allowed.wait(60)
        real_sync(descriptor)

    monkeypatch.setattr(os, "fdatasync", sync_when_allowed)
    return allowed


def test_responses_wait_for_the_sync(shop, tmp_path, disk_may_sync):
    async def talk():
        async with running(shop, tmp_path) as collector:
            answer = asyncio.create_task(collector.post(json.dumps(EVENT)))
            await asyncio.sleep(0.3)
            waited = not answer.done()
            disk_may_sync.set()
            return waited, (await answer).status_code

    assert asyncio.run(talk()) == (True, 204)


def test_a_failed_sync_gets_503_and_the_next_event_goes_to_a_new_file(shop, tmp_path, monkeypatch):
    real_sync = os.fdatasync

    def fail(descriptor):
        raise OSError(5, "Input/output error")

    async def talk():
        async with running(shop, tmp_path) as collector:
            before = await collector.post(json.dumps(EVENT | {"id": "before"}))
            monkeypatch.setattr(os, "fdatasync", fail)
            failed = await collector.post(json.dumps(EVENT | {"id": "failed"}))
            monkeypatch.setattr(os, "fdatasync", real_sync)
            after = await collector.post(json.dumps(EVENT | {"id": "after"}))
            return before, failed, after

    before, failed, after = asyncio.run(talk())
    assert [before.status_code, failed.status_code, after.status_code] == [204, 503, 204]
    assert failed.headers["retry-after"]
    files = [ids(file) for file in sealed_files(tmp_path)]
    assert "before" in files[0]
    assert files[-1] == ["after"]


def test_a_disconnecting_client_does_not_affect_others(shop, tmp_path, disk_may_sync):
    async def talk():
        async with running(shop, tmp_path) as collector:
            posts = [asyncio.create_task(collector.post(json.dumps(EVENT | {"id": f"e{n}"}))) for n in range(5)]
            await asyncio.sleep(0.2)
            posts[3].cancel()
            disk_may_sync.set()
            return await asyncio.gather(*posts, return_exceptions=True)

    answers = asyncio.run(talk())
    assert [answer.status_code for answer in answers[:3] + answers[4:]] == [204] * 4
