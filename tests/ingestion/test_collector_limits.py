"""Robustness of the collector: slow, endless and greedy clients, full and failing disks, crashes and power cuts."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import msgspec
import pytest
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.collector import writer as writing
from ingestion.collector.app import Collector, CollectorSettings
from ingestion.collector.events import BodyError, Request, parse_body
from ingestion.collector.limits import RateLimit, network_of
from ingestion.collector.metrics import Metrics
from ingestion.collector.protocol import MAX_HEADER_BYTES, GuardedProtocol
from ingestion.collector.rejects import MAX_WAITING, Reject, RejectSpool
from ingestion.collector.visitors import VisitorHash
from ingestion.collector.writer import LandingWriter, NotWritten
from ingestion.landing import Consent, decode_envelope, open_files, read_lines, recover, sealed_files
from ingestion.shops import Shop
from tests.conftest import PROJECT
from tests.ingestion.test_collector import EVENT, collect, ids, running

COLLECT = [sys.executable, "-m", "orchestration.cli"]
HEALTH = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
TWO_WORKERS = ["--port", "0", "--workers", "2", "--requests-per-second", "0"]

# --- HTTP: slow and endless requests, against a real server


PATIENCE_SECONDS = 60  # how long a test waits for what must happen; only a failing test waits this long


@contextmanager
def serving(shop, folder):
    settings = CollectorSettings([shop], folder, folder / "salts", requests_per_second=0)
    config = uvicorn.Config(
        Collector(settings),
        port=0,
        http=GuardedProtocol,
        log_level="error",
        lifespan="on",
        ws="none",
        timeout_keep_alive=10 * PATIENCE_SECONDS,  # so that only our own limits close a connection
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()
    server.should_exit = True
    thread.join(10)


@contextmanager
def connected_from(source: str, address, count: int):
    """Open, silent connections from one address of this machine."""
    held = [socket.create_connection(address, source_address=(source, 0)) for _ in range(count)]
    wait_for_server(address)
    yield held
    for connection in held:
        connection.close()
    wait_for_server(address)


def wait_for_server(address) -> None:
    """Return when the server has handled every connection opened or closed so far: it takes them in order."""
    ask(address, HEALTH, "127.0.0.9")


def ask(address, request: bytes, source: str) -> bytes:
    """The beginning of the answer to a request from an address of this machine; b"" if the server just disconnects."""
    with socket.create_connection(address, timeout=PATIENCE_SECONDS, source_address=(source, 0)) as connection:
        try:
            connection.sendall(request)
            return connection.recv(65536)
        except ConnectionError:
            return b""


def raw_request(address, *pieces: bytes, pause: float = 0.0) -> bytes:
    """Send raw bytes and read until the server disconnects or goes quiet."""
    with socket.create_connection(address, timeout=PATIENCE_SECONDS) as connection:
        answer = b""
        with contextlib.suppress(ConnectionError):  # refused while still sending: the answer may be there to read
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause)
        try:
            connection.settimeout(5)
            while block := connection.recv(65536):
                answer += block
        except (TimeoutError, ConnectionError):
            pass
        return answer


def head(shop, extra: bytes = b"") -> bytes:
    return b"POST /v1/events/%b HTTP/1.1\r\nhost: x\r\norigin: null\r\n%b" % (shop.ingest_keys[0].encode(), extra)


@pytest.fixture(scope="module")
def address(shop, tmp_path_factory):
    with serving(shop, tmp_path_factory.mktemp("landing")) as found:
        yield found


@pytest.fixture
def short_deadline(monkeypatch):
    """Only for tests of the deadline itself: on a slow machine it would also hit ordinary requests."""
    monkeypatch.setattr(GuardedProtocol, "request_seconds", 0.5)


@pytest.mark.usefixtures("short_deadline")
def test_slow_headers_get_408(shop, address):
    answer = raw_request(address, head(shop), b"x-a: 1\r\n", pause=0.4)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"access-control-allow-origin: null\r\n" in answer


def test_malformed_http_gets_400_with_cors_headers(address):
    answer = raw_request(address, b"POST / HTTP/1.1\r\norigin: null\r\nx-a: 1\r\nno header\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"access-control-allow-origin: null\r\n" in answer


@pytest.mark.usefixtures("short_deadline")
def test_clients_that_stop_reading_are_disconnected(address):
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(address)
        servers_side = f"{address[1]:04X} {connection.getsockname()[1]:04X} 01"  # ports, and "established"

        def connected() -> bool:
            rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
            return servers_side in [f"{row[1][-4:]} {row[2][-4:]} {row[3]}" for row in rows]

        assert connected()
        with contextlib.suppress(ConnectionError):
            for _ in range(150):
                connection.sendall(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
                time.sleep(0.02)  # one at a time: pipelined requests are refused for another reason
        deadline = time.monotonic() + PATIENCE_SECONDS
        while connected() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not connected()


@pytest.mark.usefixtures("short_deadline")
def test_silent_connections_are_closed_without_an_answer(address):
    with socket.create_connection(address, timeout=PATIENCE_SECONDS) as connection:
        assert connection.recv(1) == b""  # and no TimeoutError


def test_one_connection_too_many_gets_503(shop, address, monkeypatch):
    monkeypatch.setattr(GuardedProtocol, "max_connections", 3)
    body = json.dumps(EVENT).encode()
    whole = head(shop, b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body)) + body
    with connected_from("127.0.0.1", address, 3):
        assert raw_request(address).startswith(b"HTTP/1.1 503 ")
    assert raw_request(address, whole).startswith(b"HTTP/1.1 204 ")


def test_unfinished_requests_of_one_address_do_not_lock_out_others(address, monkeypatch):
    monkeypatch.setattr(GuardedProtocol, "max_connections", 8)
    monkeypatch.setattr(GuardedProtocol, "max_waiting_of_network", 4)
    with connected_from("127.0.0.2", address, 20) as held:
        held[0].sendall(b"POST /v1/events/x HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf")
        assert not ask(address, HEALTH, "127.0.0.2").startswith(b"HTTP/1.1 200 ")
        assert ask(address, HEALTH, "127.0.0.3").startswith(b"HTTP/1.1 200 ")
    assert ask(address, HEALTH, "127.0.0.2").startswith(b"HTTP/1.1 200 ")  # closed connections no longer count
    deadline = time.monotonic() + PATIENCE_SECONDS
    while GuardedProtocol._connections_of and time.monotonic() < deadline:
        time.sleep(0.05)
    assert GuardedProtocol._waiting_of == GuardedProtocol._connections_of == {}


def test_the_503_names_the_limit_on_unfinished_requests(address, monkeypatch):
    monkeypatch.setattr(GuardedProtocol, "max_waiting_of_network", 2)
    with connected_from("127.0.0.2", address, 2):
        refused = raw_request_from("127.0.0.2", address)
    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"unfinished requests from your address" in refused
    assert b"access-control-allow-origin" in refused


def test_idle_keep_alive_connections_are_bounded(address, monkeypatch):
    monkeypatch.setattr(GuardedProtocol, "max_connections_of_network", 3)
    alive = HEALTH.replace(b"connection: close\r\n", b"")
    with connected_from("127.0.0.2", address, 3) as held:
        for connection in held:
            connection.sendall(alive)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert b"too many connections from your address" in raw_request_from("127.0.0.2", address)
        assert ask(address, HEALTH, "127.0.0.3").startswith(b"HTTP/1.1 200 ")


def test_a_trusted_proxy_is_exempt_from_connection_limits(address, monkeypatch):
    monkeypatch.setattr(GuardedProtocol, "max_waiting_of_network", 2)
    with connected_from("127.0.0.1", address, 10):
        assert ask(address, HEALTH, "127.0.0.1").startswith(b"HTTP/1.1 200 ")


def raw_request_from(source: str, address) -> bytes:
    """The answer to a connection that sends nothing."""
    with socket.create_connection(address, timeout=PATIENCE_SECONDS, source_address=(source, 0)) as connection:
        return connection.recv(65536)


def test_early_disconnects_log_no_traceback(shop, tmp_path):
    """At each point of a request, with FIN and with RST."""
    body = json.dumps(EVENT).encode()
    whole = head(shop, b"content-length: %d\r\n\r\n" % len(body)) + body
    webhook = (
        b"POST /v1/webhooks/shopify HTTP/1.1\r\nhost: x\r\nx-shopify-hmac-sha256: %b\r\ncontent-length: 90\r\n\r\n{"
        % (b"a" * 44)
    )
    command = [*COLLECT, "--data", str(tmp_path), "collect", "--port", "0"]
    process = subprocess.Popen(
        command,
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PIXELNOVA_SHOPIFY_SECRETS": "hush"},
    )
    try:
        url = httpx.URL(process.stdout.readline().split()[-1])
        for reset in (False, True):
            for sent in (
                b"",
                whole[:20],
                whole[:-5],
                whole,
                whole * 3,
                webhook,
                b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n",
            ):
                for _ in range(5):
                    with socket.create_connection((url.host, url.port)) as connection:
                        if reset:
                            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        connection.sendall(sent)
        assert httpx.get(url.join("/healthz"), trust_env=False).status_code == 200
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=30)
    assert errors == ""


def test_endless_headers_get_431_in_bounded_memory(shop, address):
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before = resident()
    answer = raw_request(address, head(shop), *[b"x-filler: " + b"a" * 60_000 + b"\r\n"] * 200)
    assert answer.startswith(b"HTTP/1.1 431 ") or answer == b""  # disconnected while still sending
    small = raw_request(address, head(shop), b"x-filler: " + b"a" * (MAX_HEADER_BYTES + 1))
    assert small.startswith(b"HTTP/1.1 431 ")
    assert resident() - before < 20_000_000


@pytest.mark.usefixtures("short_deadline")
def test_a_slow_body_gets_408(shop, address):
    answer = raw_request(address, head(shop, b"content-length: 100\r\n\r\n"), b'{"id":', pause=0.4)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"access-control-allow-origin" in answer


@pytest.mark.parametrize("chunked", [True, False])
def test_an_oversized_body_gets_413(shop, address, chunked):
    if chunked:
        pieces = [head(shop, b"transfer-encoding: chunked\r\n\r\n"), *[b"2000\r\n" + b"x" * 0x2000 + b"\r\n"] * 12]
    else:
        pieces = [head(shop, b"content-length: 70000\r\n\r\n"), b"x" * 70_000]
    assert raw_request(address, *pieces).startswith(b"HTTP/1.1 413 ")


def test_keep_alive_requests_do_not_add_up_to_endless_headers(shop, address):
    body = json.dumps(EVENT).encode()
    one = head(shop, b"content-length: %d\r\n\r\n" % len(body)) + body
    with socket.create_connection(address, timeout=PATIENCE_SECONDS) as connection:
        for _ in range(300):
            connection.sendall(one)
            assert connection.recv(65536).startswith(b"HTTP/1.1 204 ")


def test_pipelined_requests_are_refused(address):
    answer = raw_request(address, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n" * 5_000)
    assert answer.count(b"HTTP/1.1 200 ") < 10
    assert b"HTTP/1.1 429 " in answer or answer == b""


def test_endless_trailers_are_cut_off(shop, address):
    start = head(shop, b"transfer-encoding: chunked\r\n\r\n") + b"2\r\n{}\r\n0\r\n"
    answer = raw_request(address, start, *[b"x-trailer: " + b"a" * 30_000 + b"\r\n"] * 20)
    assert answer.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 ")) or answer == b""


def test_large_headers_in_one_piece_get_431(shop, address):
    whole = head(shop, b"x-filler: %b\r\ncontent-length: 2\r\n\r\n{}" % (b"a" * 100_000))
    assert raw_request(address, whole).startswith(b"HTTP/1.1 431 ")


# --- rate limit


def test_rate_limit_applies_per_sender(shop, tmp_path):
    async def talk():
        async with running(shop, tmp_path, requests_per_second=1, burst=3) as collector:
            return [await collector.post(json.dumps(EVENT)) for _ in range(5)]

    answers = asyncio.run(talk())
    assert [answer.status_code for answer in answers] == [204, 204, 204, 429, 429]
    assert answers[-1].headers["retry-after"]
    limit = RateLimit(per_second=1, burst=1)
    assert [limit.allows("key", "one"), limit.allows("key", "one"), limit.allows("key", "two")] == [True, False, True]


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", True),
        ("2001:db8:1:2::1", "2001:DB8:1:2::1%eth0", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:c000:201", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("no:address", "no:address", True),
    ],
)
def test_senders_are_ipv4_addresses_or_ipv6_64_networks(left, right, same):
    assert (network_of(left) == network_of(right)) is same


def test_rate_limit_is_shared_by_addresses_of_one_network(shop, tmp_path):
    async def talk():
        async with running(shop, tmp_path, requests_per_second=1, burst=2) as collector:
            answers = []
            for number in range(4):
                collector.client._transport.client = (f"2001:db8::{number:x}", 1)
                answers.append(await collector.post(json.dumps(EVENT)))
            collector.client._transport.client = ("2001:db8:0:1::1", 1)
            return [answer.status_code for answer in [*answers, await collector.post(json.dumps(EVENT))]]

    assert asyncio.run(talk()) == [204, 204, 429, 429, 204]


def test_rate_limit_remembers_a_bounded_number_of_senders():
    limit = RateLimit(per_second=1, burst=1, max_buckets=100)
    for number in range(10_000):
        limit.allows("key", str(number))
    assert len(limit._buckets) == 100


# --- privacy


def test_visitor_hash_is_stable_per_shop_and_day_and_stores_no_address(tmp_path):
    worker, other_worker = VisitorHash(tmp_path), VisitorHash(tmp_path)
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    hashes = [
        worker("10.0.0.1", "ua", "a", now),
        other_worker("10.0.0.1", "ua", "a", now),
        worker("10.0.0.2", "ua", "a", now),
        worker("10.0.0.1", "ua", "b", now),
        worker("10.0.0.1", "ua", "a", now + timedelta(days=1)),
    ]
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 4
    assert all(oct(path.stat().st_mode)[-3:] == "600" for path in tmp_path.iterdir())


def test_salts_are_deleted_after_48_hours(tmp_path):
    hashed = VisitorHash(tmp_path)
    began = datetime(2026, 11, 22, 0, tzinfo=UTC)
    before = hashed("10.0.0.1", "ua", "a", began)
    hashed.forget(began + timedelta(hours=47, minutes=59))
    assert [path.name for path in tmp_path.iterdir()] == ["salt-2026-11-22"]
    hashed.forget(began + timedelta(hours=48))
    assert list(tmp_path.iterdir()) == []
    assert hashed("10.0.0.1", "ua", "a", began) != before


CHECKOUT = EVENT | {
    "name": "checkout_completed",
    "data": {
        "checkout": {
            "email": "buyer@example.com",
            "phone": "+15550001",
            "smsMarketingPhone": "+15550002",
            "billingAddress": {"firstName": "Ada", "zip": "90210", "countryCode": "US"},
            "shippingAddress": {"lastName": "Lovelace", "address1": "1 Main St", "city": "Paris", "country": "FR"},
            "order": {"id": "7", "customer": {"id": "9", "email": "buyer@example.com", "isFirstOrder": True}},
            "totalPrice": {"amount": 10.10, "currencyCode": "USD"},
            "lineItems": [{"quantity": 1, "properties": [{"key": "_pixelnova_rec", "value": "r1"}]}],
        }
    },
}


def test_personal_data_is_removed_from_checkouts_and_the_rest_stays(shop, tmp_path):
    _, [envelope] = collect(shop, tmp_path, CHECKOUT)
    stored = bytes(envelope.event)
    for personal in (b"buyer@", b"+1555", b"Ada", b"Lovelace", b"90210", b"Main St", b"Paris"):
        assert personal not in stored
    checkout = json.loads(stored)["data"]["checkout"]
    assert checkout["order"] == {"id": "7", "customer": {"id": "9", "isFirstOrder": True}}
    assert checkout["lineItems"] == CHECKOUT["data"]["checkout"]["lineItems"]
    assert (checkout["billingAddress"], checkout["shippingAddress"]) == ({"countryCode": "US"}, {"country": "FR"})
    assert b'"amount":10.1' in stored


def test_a_checkout_without_personal_data_is_stored_byte_for_byte(shop, tmp_path):
    event = b'{"id":"1", "name":"checkout_started","data":{"checkout":{"email":null,"token":"t","price":1.50}}}'
    _, [envelope] = collect(shop, tmp_path, event)
    assert bytes(envelope.event) == event


def test_rejects_are_kept_without_personal_data(shop, tmp_path):
    collect(shop, tmp_path, b'{"name":"checkout_completed","email":"buyer@example.com","phone": "+1555","x":"y')
    [line] = (tmp_path / "rejected" / "rejected.jsonl").read_text().splitlines()
    reject = json.loads(line)
    assert reject["reason"]
    assert reject["shop"] == shop.domain
    assert "checkout_completed" in reject["body"]
    assert "buyer@" not in line
    assert "+1555" not in line


def test_rejects_without_consent_are_not_kept(shop, tmp_path):
    refusal = {"consent": {"analyticsProcessingAllowed": False}}
    collect(shop, tmp_path, refusal | {"events": [EVENT | {"clientId": "a-client"}] * 50, "pixel_version": 1})
    collect(shop, tmp_path, refusal | {"events": [{"id": "1", "clientId": "a-client"}] * 101})
    spool = tmp_path / "rejected" / "rejected.jsonl"
    assert len(spool.read_text().splitlines()) == 1  # the first body; the second is only counted
    assert "a-client" not in spool.read_text()


@pytest.mark.parametrize(
    "event",
    [
        rb'{"id":"1","name":"checkout_started","email":"a@b.co","email":null}',
        rb'{"id":"1","name":"checkout_started","context":{"document":{"location":{"search":"?checkout[email]=a@b.co"}}}}',
        rb'{"id":"1","name":"checkout_started","context":{"document":{"location":{"search":"?email=a%40b.co"}}}}',
        rb'{"id":"1","name":"alert_displayed","data":{"alert":{"type":"INPUT_INVALID","value":"a@b.co"}}}',
    ],
)
def test_hidden_email_addresses_are_removed(shop, tmp_path, event):
    _, [envelope] = collect(shop, tmp_path, event)
    stored = bytes(envelope.event)
    assert b"a@b" not in stored
    assert b"a%40b" not in stored


def test_rejects_are_dropped_when_the_disk_is_slow(tmp_path, monkeypatch):
    disk = threading.Event()
    monkeypatch.setattr(RejectSpool, "_write", lambda *_: disk.wait(20))
    spool = RejectSpool(tmp_path)
    for number in range(1000):
        spool.add(Reject(datetime.now(UTC), "s", "r", number, "why"), "malformed", b"x")
    assert spool._thread._work_queue.qsize() <= MAX_WAITING
    disk.set()
    spool.close()


def test_reject_spool_is_bounded(tmp_path):
    spool = RejectSpool(tmp_path / "rejected", max_file_bytes=20_000)
    for number in range(200):
        spool.add(Reject(datetime.now(UTC), "s", "r", number, "why"), "malformed", b"x" * 10_000)
    spool.close()
    assert sum(path.stat().st_size for path in (tmp_path / "rejected").iterdir()) < 50_000


@pytest.mark.parametrize(
    ("require_consent", "consent", "stored"),
    [
        (False, None, 1),
        (True, None, 0),
        (True, {"analyticsProcessingAllowed": True}, 1),
        (True, {"marketingAllowed": True}, 0),
        (False, {"analyticsProcessingAllowed": False}, 0),
    ],
)
def test_consent_decides_what_is_stored(shop, tmp_path, require_consent, consent, stored):
    strict = msgspec.structs.replace(shop, require_consent=require_consent)
    answer, envelopes = collect(strict, tmp_path, {"consent": consent, "events": [EVENT]})
    assert (answer.status_code, len(envelopes)) == (204, stored)


# --- the parser

A_SHOP = Shop("a.myshopify.com", "A", "UTC", "EUR", ["key-of-shop-a"])
A_REQUEST = Request("r", datetime(2026, 11, 22, tzinfo=UTC), A_SHOP, None, None, None, False)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_parsed_to_envelopes_or_refused(body):
    try:
        parsed = parse_body(body, A_REQUEST)
    except BodyError:
        return
    for line in parsed.lines:
        decode_envelope(line)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.fixed_dictionaries({"id": json_values, "name": json_values}, optional={"data": json_values})))
def test_each_event_of_an_array_is_stored_or_rejected(events):
    try:
        parsed = parse_body(json.dumps(events).encode(), A_REQUEST)
    except BodyError:
        return  # NaN and infinity are not JSON
    assert len(parsed.lines) + len(parsed.rejected) == len(events)
    good = [e for e in events if all(isinstance(e[key], str) and 0 < len(e[key]) <= 200 for key in ("id", "name"))]
    assert len(parsed.lines) == len(good)


# --- durability


def write_all(folder, lines: list[bytes], **limits) -> list:
    """Append lines one at a time; returns the result of each."""

    async def run():
        writer = LandingWriter(folder, Metrics(folder), min_free_bytes=0, **limits)
        await writer.start()
        answers = []
        for line in lines:
            try:
                answers.append(await writer.append(line))
            except NotWritten as error:
                answers.append(error)
        await writer.close()
        return answers

    return asyncio.run(run())


def test_a_file_is_sealed_by_size(tmp_path):
    write_all(tmp_path, [b"x" * 99 + b"\n"] * 10, max_file_bytes=200)
    assert [file.stat().st_size for file in sealed_files(tmp_path)] == [200] * 5


def test_a_file_is_sealed_by_age_even_without_new_events(tmp_path):
    async def run():
        writer = LandingWriter(tmp_path, Metrics(tmp_path), max_file_seconds=0.2, min_free_bytes=0)
        await writer.start()
        await writer.append(b"one\n")
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not (sealed := sealed_files(tmp_path)):
                await asyncio.sleep(0.05)
        await writer.close()
        return sealed

    assert len(asyncio.run(run())) == 1


def test_a_file_is_sealed_at_the_hour(tmp_path, monkeypatch):
    clock = [writing.HOUR * 1000 - 10.0]
    monkeypatch.setattr(writing.time, "time", lambda: clock[0])

    async def run():
        writer = LandingWriter(tmp_path, Metrics(tmp_path), max_file_seconds=600, min_free_bytes=0)
        await writer.start()
        await writer.append(b"before the hour\n")
        clock[0] += 11
        await writer.append(b"after it\n")
        await writer.append(b"in the next file\n")
        await writer.close()

    asyncio.run(run())
    assert [file.read_bytes().count(b"\n") for file in sealed_files(tmp_path)] == [2, 1]


def test_events_are_refused_before_the_disk_is_full(shop, tmp_path):
    async def talk():
        async with running(shop, tmp_path, min_free_bytes=2**60) as collector:
            refused = await collector.post(json.dumps(EVENT))
            ready = await collector.client.get("/readyz")
            return refused, ready

    refused, ready = asyncio.run(talk())
    assert (refused.status_code, ready.status_code) == (503, 503)
    assert "free" in ready.text


def test_collector_recovers_from_a_full_disk_without_restart(shop, tmp_path, monkeypatch):
    real_write = os.write
    full = threading.Event()

    def write(descriptor, data):
        if full.is_set() and b"e1" in bytes(data):
            real_write(descriptor, bytes(data)[:10])
            raise OSError(28, "No space left on device")
        return real_write(descriptor, data)

    monkeypatch.setattr(os, "write", write)

    async def talk():
        async with running(shop, tmp_path) as collector:
            answers = [await collector.post(json.dumps(EVENT | {"id": "e0"}))]
            full.set()
            answers.append(await collector.post(json.dumps(EVENT | {"id": "e1"})))
            answers.append(await collector.client.get("/readyz"))
            full.clear()
            answers.append(await collector.post(json.dumps(EVENT | {"id": "e1"})))
            answers.append(await collector.client.get("/readyz"))
            return [answer.status_code for answer in answers]

    assert asyncio.run(talk()) == [204, 503, 503, 204, 200]
    assert [name for file in sealed_files(tmp_path) for name in ids(file)] == ["e0", "e1"]


def test_a_stalled_disk_refuses_events_in_bounded_memory(tmp_path, monkeypatch):
    stalled, real_sync = threading.Event(), os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: (stalled.wait(2 * PATIENCE_SECONDS), real_sync(descriptor)))

    async def run():
        writer = LandingWriter(tmp_path, Metrics(tmp_path), max_pending_bytes=100_000, min_free_bytes=0)
        await writer.start()
        waiting = [asyncio.create_task(writer.append(b"x" * 999 + b"\n")) for _ in range(5_000)]
        async with asyncio.timeout(PATIENCE_SECONDS):
            while sum(task.done() for task in waiting) < 4_900:
                await asyncio.sleep(0.05)
        refused = sum(task.done() and isinstance(task.exception(), NotWritten) for task in waiting)
        held = writer._pending_bytes
        stalled.set()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        await writer.close()
        return refused, held, sum(result is None for result in results)

    refused, held, written = asyncio.run(run())
    assert held <= 100_000
    assert (refused, written) == (4_900, 100)
    assert sum(file.stat().st_size for file in sealed_files(tmp_path)) == 100 * 1000


def test_failing_to_seal_a_file_blocks_no_request(shop, tmp_path, monkeypatch):
    from ingestion.landing import OpenLandingFile

    def fail(_):
        raise OSError(5, "Input/output error")

    async def talk():
        async with running(shop, tmp_path) as collector:
            await collector.post(json.dumps(EVENT | {"id": "e0"}))
            with monkeypatch.context() as patch:
                patch.setattr(OpenLandingFile, "seal", fail)
                patch.setattr(writing.time, "time", lambda: 1e12)
                await asyncio.wait_for(collector.post(json.dumps(EVENT | {"id": "e1"})), PATIENCE_SECONDS)
            return await asyncio.wait_for(collector.post(json.dumps(EVENT | {"id": "e2"})), PATIENCE_SECONDS)

    assert asyncio.run(talk()).status_code == 204
    recover(tmp_path)
    assert sorted(name for file in sealed_files(tmp_path) for name in ids(file)) == ["e0", "e1", "e2"]


@pytest.mark.parametrize("failure", [OSError(), RuntimeError("can't start new thread"), MemoryError()])
def test_any_write_failure_gets_503_and_the_next_event_is_stored(shop, tmp_path, monkeypatch, failure):
    """Including an OSError without a message."""

    def fail(*_):
        raise failure

    async def talk():
        async with running(shop, tmp_path) as collector:
            with monkeypatch.context() as patch:
                patch.setattr(LandingWriter, "_write", fail)
                failed = await asyncio.wait_for(collector.post(json.dumps(EVENT | {"id": "e1"})), PATIENCE_SECONDS)
            return failed.status_code, (await collector.post(json.dumps(EVENT | {"id": "e2"}))).status_code

    assert asyncio.run(talk()) == (503, 204)
    assert [name for file in sealed_files(tmp_path) for name in ids(file)] == ["e2"]


def test_a_landing_file_that_cannot_be_created_leaves_nothing_behind(tmp_path, monkeypatch):
    from ingestion import landing

    def fail(_):
        raise OSError(5, "Input/output error")

    before = len(list(Path("/proc/self/fd").iterdir()))
    with monkeypatch.context() as patch:
        patch.setattr(landing, "sync_folder", fail)
        for _ in range(10):
            with pytest.raises(OSError, match="Input/output"):
                landing.OpenLandingFile(tmp_path)
    assert open_files(tmp_path) == []
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1


@pytest.mark.parametrize("crash_after", [1, 7, 30])
def test_acknowledged_events_survive_a_power_cut(tmp_path, monkeypatch, crash_after):
    """Model: after the cut, every file has exactly the bytes of its last sync."""
    synced: dict[str, int] = {}
    real_sync = os.fdatasync

    def sync(descriptor):
        real_sync(descriptor)
        synced[os.readlink(f"/proc/self/fd/{descriptor}")] = os.fstat(descriptor).st_size  # noqa: PTH115

    monkeypatch.setattr(os, "fdatasync", sync)
    acknowledged: list[bytes] = []

    async def run():
        writer = LandingWriter(tmp_path, Metrics(tmp_path), max_file_bytes=2_000, min_free_bytes=0)
        await writer.start()

        async def send(number):
            line = b"%06d\n" % number
            await writer.append(line)
            acknowledged.append(line)

        for batch in range(crash_after):
            await asyncio.gather(*(send(batch * 50 + number) for number in range(50)))
        if writer._file:
            writer._file.abandon()  # the process is gone; nothing is sealed

    asyncio.run(run())
    for path in [*open_files(tmp_path), *sealed_files(tmp_path)]:
        durable = synced.get(str(path)) or synced.get(f"{path}.open", 0)
        os.truncate(path, durable)
    recover(tmp_path)
    kept = {line + b"\n" for file in sealed_files(tmp_path) for line in read_lines(file)}
    assert set(acknowledged) <= kept
    assert len(acknowledged) == crash_after * 50


def test_killed_workers_lose_no_acknowledged_event(shop, tmp_path):
    """kill -9 does not test the sync (the page cache survives) but the order of answers, torn lines and recovery."""
    acknowledged: set[str] = set()
    for round_number in range(4):
        process = subprocess.Popen(
            [
                *COLLECT,
                "--data",
                str(tmp_path),
                "collect",
                *TWO_WORKERS,
            ],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        line = process.stdout.readline()
        url = line[line.index("http://") :].strip()

        async def flood(url=url, process=process, round_number=round_number):
            async def one_client(client_number, client):
                for number in range(10_000):
                    name = f"{round_number}-{client_number}-{number}"
                    try:
                        answer = await client.post(
                            f"{url}/v1/events/{shop.ingest_keys[0]}", content=json.dumps(EVENT | {"id": name})
                        )
                    except httpx.TransportError:
                        return
                    if answer.status_code == 204:
                        acknowledged.add(name)

            async with httpx.AsyncClient(trust_env=False) as client:
                tasks = [asyncio.create_task(one_client(number, client)) for number in range(8)]
                async with asyncio.timeout(PATIENCE_SECONDS):
                    while len(acknowledged) < (round_number + 1) * 60:
                        await asyncio.sleep(0.05)
                os.killpg(process.pid, signal.SIGKILL)
                await asyncio.gather(*tasks)

        asyncio.run(flood())
        process.wait()
        process.stdout.close()
        for left in open_files(tmp_path / "landing"):
            with left.open("ab") as file:
                file.write(b'{"v":1,"received_at":"2026-11')
    recover(tmp_path / "landing")
    stored = {name for file in sealed_files(tmp_path / "landing") for name in ids(file)}
    assert len(acknowledged) > 200
    assert acknowledged - stored == set()
    assert open_files(tmp_path / "landing") == []


def test_a_dead_worker_is_replaced_and_its_gauges_are_removed(tmp_path):
    command = [*COLLECT, "--data", str(tmp_path), "collect", *TWO_WORKERS]
    process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        process.stdout.readline()
        gauges = next(Path(tempfile.gettempdir()).glob(f"pixelnova-metrics-{process.pid}-*"))
        pids = {int(path.stem.rpartition("_")[2]) for path in gauges.glob("gauge_livesum_*.db")}
        assert len(pids) == 2
        killed = pids.pop()
        os.kill(killed, signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            alive = {int(path.stem.rpartition("_")[2]) for path in gauges.glob("gauge_livesum_*.db")}
            if killed not in alive and len(alive) == 2:
                break
            time.sleep(0.1)
        else:
            pytest.fail(f"gauges after a worker died: {alive}")
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert not gauges.exists()


def test_consent_is_kept_under_shopifys_own_names(shop, tmp_path):
    snapshot = {"analyticsProcessingAllowed": True, "saleOfDataAllowed": False}
    _, [envelope] = collect(shop, tmp_path, {"consent": snapshot, "events": [EVENT]})
    assert envelope.consent == Consent(analyticsProcessingAllowed=True, saleOfDataAllowed=False)
