"""What the collector withstands: slow, endless and greedy clients, full and failing disks, crashes and power cuts."""

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
TWO_WORKERS = ["--port", "0", "--workers", "2", "--requests-per-second", "0"]

# --- HTTP: slow and endless requests, against a real server


@contextmanager
def serving(shop, folder, **changes):
    class Impatient(GuardedProtocol):
        request_seconds = 0.5

    settings = CollectorSettings([shop], folder, folder / "salts", requests_per_second=0, **changes)
    config = uvicorn.Config(Collector(settings), port=0, http=Impatient, log_level="error", lifespan="on", ws="none")
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
    """Connections of one address of this machine that are open and say nothing."""
    held = [socket.create_connection(address, source_address=(source, 0)) for _ in range(count)]
    time.sleep(0.1)
    yield held
    for connection in held:
        connection.close()
    time.sleep(0.1)


def ask(address, request: bytes, source: str) -> bytes:
    """The beginning of the answer to a request from an address of this machine; b"" when it is only hung up on."""
    with socket.create_connection(address, timeout=5, source_address=(source, 0)) as connection:
        try:
            connection.sendall(request)
            return connection.recv(65536)
        except ConnectionError:
            return b""


def raw_request(address, *pieces: bytes, pause: float = 0.0) -> bytes:
    """Send bytes as they are and read until the server hangs up or goes quiet."""
    with socket.create_connection(address, timeout=5) as connection:
        answer = b""
        try:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause)
            connection.settimeout(2)
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


def test_headers_that_come_too_slowly_are_answered_with_408(shop, address):
    answer = raw_request(address, head(shop), b"x-a: 1\r\n", pause=0.4)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"access-control-allow-origin: null\r\n" in answer


def test_what_is_no_http_is_answered_with_400_like_everything_else(address):
    answer = raw_request(address, b"POST / HTTP/1.1\r\norigin: null\r\nx-a: 1\r\nno header\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"access-control-allow-origin: null\r\n" in answer


def test_who_does_not_read_the_answers_is_hung_up_on(address):
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
                time.sleep(0.02)  # one at a time: pipelining is cut off for itself
        deadline = time.monotonic() + 3  # less than a connection that is merely idle is kept
        while connected() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not connected()


def test_a_connection_that_says_nothing_is_closed_without_a_word(address):
    started = time.monotonic()
    assert raw_request(address) == b""
    assert time.monotonic() - started < 1.5


def test_one_connection_too_many_is_answered_with_503(shop, address, monkeypatch):
    monkeypatch.setattr(GuardedProtocol, "max_connections", 3)
    body = json.dumps(EVENT).encode()
    whole = head(shop, b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body)) + body
    held = [socket.create_connection(address) for _ in range(3)]
    time.sleep(0.1)
    assert raw_request(address).startswith(b"HTTP/1.1 503 ")
    for connection in held:
        connection.close()
    time.sleep(0.1)
    assert raw_request(address, whole).startswith(b"HTTP/1.1 204 ")


HEALTH = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


def test_unfinished_requests_of_one_address_lock_out_nobody_else(address, monkeypatch):
    monkeypatch.setattr(GuardedProtocol, "max_connections", 8)
    monkeypatch.setattr(GuardedProtocol, "max_waiting_of_network", 4)
    monkeypatch.setattr(GuardedProtocol, "request_seconds", 30)
    with connected_from("127.0.0.2", address, 20) as held:
        held[0].sendall(b"POST /v1/events/x HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf")
        assert not ask(address, HEALTH, "127.0.0.2").startswith(b"HTTP/1.1 200 ")
        assert ask(address, HEALTH, "127.0.0.3").startswith(b"HTTP/1.1 200 ")
    assert ask(address, HEALTH, "127.0.0.2").startswith(b"HTTP/1.1 200 ")  # nothing is counted on
    deadline = time.monotonic() + 5
    while GuardedProtocol._connections_of and time.monotonic() < deadline:
        time.sleep(0.05)
    assert GuardedProtocol._waiting_of == GuardedProtocol._connections_of == {}


def test_one_too_many_unfinished_requests_is_told_so(address, monkeypatch):
    monkeypatch.setattr(GuardedProtocol, "max_waiting_of_network", 2)
    with connected_from("127.0.0.2", address, 2):
        refused = raw_request_from("127.0.0.2", address)
    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"unfinished requests of your address" in refused
    assert b"access-control-allow-origin" in refused


def test_connections_that_were_answered_and_are_kept_open_are_bounded_too(address, monkeypatch):
    monkeypatch.setattr(GuardedProtocol, "max_connections_of_network", 3)
    alive = HEALTH.replace(b"connection: close\r\n", b"")
    with connected_from("127.0.0.2", address, 3) as held:
        for connection in held:
            connection.sendall(alive)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert b"too many connections of your address" in raw_request_from("127.0.0.2", address)
        assert ask(address, HEALTH, "127.0.0.3").startswith(b"HTTP/1.1 200 ")


def test_a_trusted_proxy_may_hold_the_connections_of_all_shoppers(address, monkeypatch):
    monkeypatch.setattr(GuardedProtocol, "max_waiting_of_network", 2)
    with connected_from("127.0.0.1", address, 10):
        assert ask(address, HEALTH, "127.0.0.1").startswith(b"HTTP/1.1 200 ")


def raw_request_from(source: str, address) -> bytes:
    """What a connection that says nothing is answered."""
    with socket.create_connection(address, timeout=5, source_address=(source, 0)) as connection:
        return connection.recv(65536)


def test_a_client_that_hangs_up_early_leaves_no_traceback(shop, tmp_path):
    """At each place of a request, politely and not."""
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


def test_endless_headers_are_answered_with_431_and_cost_no_memory(shop, address):
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before = resident()
    answer = raw_request(address, head(shop), *[b"x-filler: " + b"a" * 60_000 + b"\r\n"] * 200)
    assert answer.startswith(b"HTTP/1.1 431 ") or answer == b""  # hung up on while it was still sending
    small = raw_request(address, head(shop), b"x-filler: " + b"a" * (MAX_HEADER_BYTES + 1))
    assert small.startswith(b"HTTP/1.1 431 ")
    assert resident() - before < 20_000_000


def test_a_body_that_comes_too_slowly_is_answered_with_408(shop, address):
    answer = raw_request(address, head(shop, b"content-length: 100\r\n\r\n"), b'{"id":', pause=0.4)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"access-control-allow-origin" in answer


@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_that_is_too_large_is_answered_with_413(shop, address, chunked):
    if chunked:
        pieces = [head(shop, b"transfer-encoding: chunked\r\n\r\n"), *[b"2000\r\n" + b"x" * 0x2000 + b"\r\n"] * 12]
    else:
        pieces = [head(shop, b"content-length: 70000\r\n\r\n"), b"x" * 70_000]
    assert raw_request(address, *pieces).startswith(b"HTTP/1.1 413 ")


def test_requests_one_after_the_other_on_one_connection_are_not_mistaken_for_endless_headers(shop, address):
    body = json.dumps(EVENT).encode()
    one = head(shop, b"content-length: %d\r\n\r\n" % len(body)) + body
    with socket.create_connection(address, timeout=5) as connection:
        for _ in range(300):
            connection.sendall(one)
            assert connection.recv(65536).startswith(b"HTTP/1.1 204 ")


def test_a_flood_of_pipelined_requests_is_cut_off(address):
    answer = raw_request(address, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n" * 5_000)
    assert answer.count(b"HTTP/1.1 200 ") < 10
    assert b"HTTP/1.1 429 " in answer or answer == b""


def test_endless_trailers_are_cut_off(shop, address):
    start = head(shop, b"transfer-encoding: chunked\r\n\r\n") + b"2\r\n{}\r\n0\r\n"
    answer = raw_request(address, start, *[b"x-trailer: " + b"a" * 30_000 + b"\r\n"] * 20)
    assert answer.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 ")) or answer == b""


def test_large_headers_in_one_piece_are_refused_too(shop, address):
    whole = head(shop, b"x-filler: %b\r\ncontent-length: 2\r\n\r\n{}" % (b"a" * 100_000))
    assert raw_request(address, whole).startswith(b"HTTP/1.1 431 ")


# --- rate limit


def test_a_greedy_sender_is_told_to_wait_and_others_are_not(shop, tmp_path):
    async def talk():
        async with running(shop, tmp_path, requests_per_second=1, burst=3) as collector:
            return [await collector.post(json.dumps(EVENT)) for _ in range(5)]

    answers = asyncio.run(talk())
    assert [answer.status_code for answer in answers] == [204, 204, 204, 429, 429]
    assert answers[-1].headers["retry-after"]
    limit = RateLimit(per_second=1, burst=1)
    assert [limit.allows("key", "one"), limit.allows("key", "one"), limit.allows("key", "two")] == [True, False, True]


@pytest.mark.parametrize(
    ("one", "other", "same"),
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
def test_an_ipv6_sender_is_its_64_and_a_mapped_one_is_its_ipv4_address(one, other, same):
    assert (network_of(one) == network_of(other)) is same


def test_a_sender_does_not_escape_the_rate_limit_by_another_address_of_its_network(shop, tmp_path):
    async def talk():
        async with running(shop, tmp_path, requests_per_second=1, burst=2) as collector:
            answers = []
            for number in range(4):
                collector.client._transport.client = (f"2001:db8::{number:x}", 1)
                answers.append(await collector.post(json.dumps(EVENT)))
            collector.client._transport.client = ("2001:db8:0:1::1", 1)
            return [answer.status_code for answer in [*answers, await collector.post(json.dumps(EVENT))]]

    assert asyncio.run(talk()) == [204, 204, 429, 429, 204]


def test_the_rate_limit_remembers_a_bounded_number_of_senders():
    limit = RateLimit(per_second=1, burst=1, max_buckets=100)
    for number in range(10_000):
        limit.allows("key", str(number))
    assert len(limit._buckets) == 100


# --- privacy


def test_a_visitor_has_one_hash_a_day_per_shop_and_no_address_is_kept(tmp_path):
    one, other_worker = VisitorHash(tmp_path), VisitorHash(tmp_path)
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    hashes = [
        one("10.0.0.1", "ua", "a", now),
        other_worker("10.0.0.1", "ua", "a", now),
        one("10.0.0.2", "ua", "a", now),
        one("10.0.0.1", "ua", "b", now),
        one("10.0.0.1", "ua", "a", now + timedelta(days=1)),
    ]
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 4
    assert all(oct(path.stat().st_mode)[-3:] == "600" for path in tmp_path.iterdir())


def test_a_salt_is_forgotten_after_48_hours(tmp_path):
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


def test_personal_data_is_taken_out_of_checkouts_and_the_rest_stays(shop, tmp_path):
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


def test_what_is_rejected_is_kept_to_be_looked_at_without_personal_data(shop, tmp_path):
    collect(shop, tmp_path, b'{"name":"checkout_completed","email":"buyer@example.com","phone": "+1555","x":"y')
    [line] = (tmp_path / "rejected" / "rejected.jsonl").read_text().splitlines()
    reject = json.loads(line)
    assert reject["reason"]
    assert reject["shop"] == shop.domain
    assert "checkout_completed" in reject["body"]
    assert "buyer@" not in line
    assert "+1555" not in line


def test_what_is_rejected_of_someone_without_consent_is_not_kept(shop, tmp_path):
    refusal = {"consent": {"analyticsProcessingAllowed": False}}
    collect(shop, tmp_path, refusal | {"events": [EVENT | {"clientId": "a-client"}] * 50, "pixel_version": 1})
    collect(shop, tmp_path, refusal | {"events": [{"id": "1", "clientId": "a-client"}] * 101})
    spool = tmp_path / "rejected" / "rejected.jsonl"
    assert len(spool.read_text().splitlines()) == 1  # the second is counted as refused before it is looked at
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
def test_an_e_mail_address_is_found_where_it_hides(shop, tmp_path, event):
    _, [envelope] = collect(shop, tmp_path, event)
    stored = bytes(envelope.event)
    assert b"a@b" not in stored
    assert b"a%40b" not in stored


def test_rejects_that_a_slow_disk_cannot_take_are_dropped(tmp_path, monkeypatch):
    disk = threading.Event()
    monkeypatch.setattr(RejectSpool, "_write", lambda *_: disk.wait(20))
    spool = RejectSpool(tmp_path)
    for number in range(1000):
        spool.add(Reject(datetime.now(UTC), "s", "r", number, "why"), b"x")
    assert spool._thread._work_queue.qsize() <= MAX_WAITING
    disk.set()
    spool.close()


def test_the_spool_of_rejects_is_bounded(tmp_path):
    spool = RejectSpool(tmp_path / "rejected", max_file_bytes=20_000)
    for number in range(200):
        spool.add(Reject(datetime.now(UTC), "s", "r", number, "why"), b"x" * 10_000)
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
def test_any_bytes_are_taken_apart_or_refused_and_every_line_is_an_envelope(body):
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
    """Append lines one at a time; what each was answered with."""

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


def test_a_file_is_sealed_by_age_without_another_event(tmp_path):
    async def run():
        writer = LandingWriter(tmp_path, Metrics(tmp_path), max_file_seconds=0.2, min_free_bytes=0)
        await writer.start()
        await writer.append(b"one\n")
        await asyncio.sleep(0.6)
        sealed = sealed_files(tmp_path)
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


def test_too_little_room_on_the_disk_is_refused_before_it_is_full(shop, tmp_path):
    async def talk():
        async with running(shop, tmp_path, min_free_bytes=2**60) as collector:
            refused = await collector.post(json.dumps(EVENT))
            ready = await collector.client.get("/readyz")
            return refused, ready

    refused, ready = asyncio.run(talk())
    assert (refused.status_code, ready.status_code) == (503, 503)
    assert "free" in ready.text


def test_a_full_disk_refuses_and_takes_events_again_without_a_restart(shop, tmp_path, monkeypatch):
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


def test_a_stalled_disk_is_answered_with_503_and_not_with_memory(tmp_path, monkeypatch):
    stalled, real_sync = threading.Event(), os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: (stalled.wait(20), real_sync(descriptor)))

    async def run():
        writer = LandingWriter(tmp_path, Metrics(tmp_path), max_pending_bytes=100_000, min_free_bytes=0)
        await writer.start()
        waiting = [asyncio.create_task(writer.append(b"x" * 999 + b"\n")) for _ in range(5_000)]
        await asyncio.sleep(0.3)
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


def test_nobody_waits_for_ever_when_a_file_cannot_be_sealed(shop, tmp_path, monkeypatch):
    from ingestion.landing import OpenLandingFile

    def fail(_):
        raise OSError(5, "Input/output error")

    async def talk():
        async with running(shop, tmp_path) as collector:
            await collector.post(json.dumps(EVENT | {"id": "e0"}))
            with monkeypatch.context() as patch:
                patch.setattr(OpenLandingFile, "seal", fail)
                patch.setattr(writing.time, "time", lambda: 1e12)
                await asyncio.wait_for(collector.post(json.dumps(EVENT | {"id": "e1"})), 5)
            return await asyncio.wait_for(collector.post(json.dumps(EVENT | {"id": "e2"})), 5)

    assert asyncio.run(talk()).status_code == 204
    recover(tmp_path)
    assert sorted(name for file in sealed_files(tmp_path) for name in ids(file)) == ["e0", "e1", "e2"]


@pytest.mark.parametrize("failure", [OSError(), RuntimeError("can't start new thread"), MemoryError()])
def test_whatever_fails_is_answered_with_503_and_the_next_event_is_stored(shop, tmp_path, monkeypatch, failure):
    """An OSError without a message is a failure too."""

    def fail(*_):
        raise failure

    async def talk():
        async with running(shop, tmp_path) as collector:
            with monkeypatch.context() as patch:
                patch.setattr(LandingWriter, "_write", fail)
                failed = await asyncio.wait_for(collector.post(json.dumps(EVENT | {"id": "e1"})), 5)
            return failed.status_code, (await collector.post(json.dumps(EVENT | {"id": "e2"}))).status_code

    assert asyncio.run(talk()) == (503, 204)
    assert [name for file in sealed_files(tmp_path) for name in ids(file)] == ["e2"]


def test_a_landing_file_that_cannot_be_begun_leaves_nothing_behind(tmp_path, monkeypatch):
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
def test_after_a_power_cut_every_acknowledged_event_is_there(tmp_path, monkeypatch, crash_after):
    """The model: at the cut, every file has what it had when it was last synced, and nothing more."""
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


def test_two_workers_killed_again_and_again_lose_nothing_that_they_acknowledged(shop, tmp_path):
    """kill -9 does not test the sync (the page cache survives): it tests the order of answers, torn lines, recovery."""
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
                await asyncio.sleep(0.8)
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


def test_a_worker_that_died_is_replaced_and_its_gauges_go_with_it(tmp_path):
    command = [*COLLECT, "--data", str(tmp_path), "collect", *TWO_WORKERS]
    process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        process.stdout.readline()
        gauges = next(Path(tempfile.gettempdir()).glob(f"pixelnova-metrics-{process.pid}-*"))
        pids = {int(path.stem.rpartition("_")[2]) for path in gauges.glob("gauge_livesum_*.db")}
        assert len(pids) == 2
        killed = pids.pop()
        os.kill(killed, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            alive = {int(path.stem.rpartition("_")[2]) for path in gauges.glob("gauge_livesum_*.db")}
            if killed not in alive and len(alive) == 2:
                break
            time.sleep(0.1)
        else:
            pytest.fail(f"after the death of a worker there are gauges of {alive}")
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert not gauges.exists()


def test_consent_is_kept_under_shopifys_own_names(shop, tmp_path):
    snapshot = {"analyticsProcessingAllowed": True, "saleOfDataAllowed": False}
    _, [envelope] = collect(shop, tmp_path, {"consent": snapshot, "events": [EVENT]})
    assert envelope.consent == Consent(analyticsProcessingAllowed=True, saleOfDataAllowed=False)
