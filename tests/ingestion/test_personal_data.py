"""No personal data reaches the disk, whatever its place, key or spelling; data for analysis stays byte for byte."""

import asyncio
import base64
import hashlib
import hmac
import html
import itertools
import json
import re
import time
import unicodedata
from collections import Counter
from urllib.parse import unquote

import msgspec
import pytest
from crawleruseragents import CRAWLER_USER_AGENTS_DATA
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.collector.harmless import is_harmless
from ingestion.collector.personal_data import REMOVAL_RULES, redact_body, strip_json, without_personal_data
from ingestion.collector.personal_rules import RULES
from ingestion.collector.personal_text import clean_text
from tests.ingestion.test_collector import running
from tests.odd_events import odd_events
from tests.personal_corpus import (
    broken_bodies,
    event,
    marked_events,
    marked_texts,
    order_webhook,
)
from tests.staying_corpus import STAYING_OBJECTS, STAYS

SECRET = b"hush"


def as_read(stored: bytes) -> str:
    """A stored text with all encodings decoded, in lower case."""
    text = stored.decode(errors="replace")
    for _ in range(4):
        text = re.sub(
            r"\\+(?:u00|x)([0-9a-fA-F]{2})", lambda found: chr(int(found[1], 16)), html.unescape(unquote(text))
        )
    return unicodedata.normalize("NFKC", text).lower()


def left(found, stored: bytes) -> list[str]:
    return [one for one in found.marks if one in as_read(stored)]


def test_the_corpus_is_large():
    assert len(marked_events()) + len(marked_texts()) + len(broken_bodies()) > 600


def test_no_marked_value_is_left_in_an_event():
    failures = []
    for found in [*marked_events(), *marked_texts()]:
        body = found.body if isinstance(found.body, bytes) else msgspec.json.encode(found.body)
        stored = strip_json(body)
        if left(found, stored):
            failures.append((found.what, stored.decode()))
        assert json.loads(stored)["name"] == "page_viewed", found.what
    assert failures == []


def test_no_marked_value_is_left_in_rejects():
    kept_of = [(found.what, redact_body(found.body)) for found in broken_bodies()]
    assert [(what, kept) for what, kept in kept_of if "zq" in as_read(kept.encode())] == []


def test_rejects_still_show_the_reason():
    kept = redact_body(b'{"id": "sh-5f6b9a1e-1234-4123-8123-123456789012", "name": "page_viewed", "seq": 5, "x": tru')
    assert kept == '{"id": "sh-5f6b9a1e-1234-4123-8123-123456789012", "name": "page_viewed", "seq": 5, "x": …'


@pytest.mark.parametrize("place", ["customData", "title", "search", "href", "referrer", "query", "product"])
def test_harmless_texts_stay(place):
    for text in STAYS:
        stays = {
            "customData": event({"customData": {"detail": text}}),
            "title": event(title=text),
            "search": event(location={"search": text}),
            "href": event(location={"href": text}),
            "referrer": event(referrer=text),
            "query": event({"searchResult": {"query": text}}),
            "product": event({"productVariant": {"product": {"title": text}}}),
        }[place]
        body = json.dumps(stays).encode()
        assert strip_json(body) == body, text


@pytest.mark.parametrize("data", STAYING_OBJECTS)
def test_harmless_objects_stay(data):
    body = json.dumps(event(data)).encode()
    assert strip_json(body) == body


def is_untouched_by_all_rules(body: bytes) -> bool:
    document = msgspec.json.decode(body)
    return without_personal_data(document) == document


def test_events_that_are_not_decoded_are_untouched_by_all_rules(shop):
    """The check of the bytes, which most events pass, says the same as the rules; also when the parts are cached."""
    bodies = [found.body for found in (*marked_events(), *marked_texts())]
    bodies += [event({"detail": text}) for text in STAYS] + [event(data) for data in STAYING_OBJECTS]
    bodies += odd_events(shop)
    bodies = [body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode() for body in bodies]
    for repeats in range(2):
        harmless = [body for body in bodies if is_harmless(body)]
        assert len(harmless) > 1000
        wrong = [body for body in harmless if not is_untouched_by_all_rules(body)]
        assert wrong == [], repeats


# How a match of each rule begins; text that may belong to it follows, without end.
BEGINNINGS = {
    "url_credentials": "://a",
    "email": " a@b",
    "token_by_form": " eyJaaaaaaaa",
    "account_path_token": "/account/reset",
    "path_token": "/verify_a",
    "order_status_token": "/orders/",
    "iban": " de12",
    "phone_international": " +",
    "phone_00": " 00 1",
    "phone_north_america": " (555)",
    "phone_national": " (030",
    "phone_grouped": " (030)",
    "phone_after_word": "tel",
    "card": " 4111",
    "ip_v4": " 1.",
    "ip_v6": " 1:",
    "searched_phone": " 0",
    "searched_card": " 4111",
    "searched_iban": " de12",
    "titles": "hi, a",
}
CONTINUATIONS = (
    " ",
    "a",
    "1",
    " 1",
    " a",
    " me",
    "-",
    "a-",
    ".",
    "a.",
    "1.",
    ":",
    "1:",
    "/",
    "\t",
    "@",
    "a@b.",
    "+1 ",
    "hi, ",
)


@pytest.mark.parametrize("rule", BEGINNINGS)
def test_work_of_each_rule_grows_in_proportion_to_the_text(rule):
    """A ratio of processor times, not a time: 4 for linear work, 16 for quadratic."""
    texts = [*RULES["texts"], *RULES["searches"]["texts"], {"rule": "titles", "find": RULES["titles"]["find"]}]
    rules = {one["rule"]: re.compile(one["find"], re.IGNORECASE) for one in texts}
    assert rules.keys() == BEGINNINGS.keys()

    def work(characters: int) -> float:
        began = time.thread_time()
        for more in CONTINUATIONS:
            for text in (BEGINNINGS[rule] + more * (characters // len(more)) + end for end in ("!", "\u00dfx")):
                rules[rule].sub("", text)
        return time.thread_time() - began

    assert min(work(30_000) / work(7_500) for _ in range(3)) < 8


def test_removals_are_counted_by_rule():
    removed = Counter()
    for found in (*marked_events(), *marked_texts()):
        strip_json(found.body if isinstance(found.body, bytes) else msgspec.json.encode(found.body), removed)
    of_others = {"too_many_encodings", "order_tags"}
    assert removed.keys() == set(REMOVAL_RULES) - of_others
    order, nested = Counter(), Counter()
    strip_json(json.dumps(order_webhook("zq9999x")).encode(), order)
    strip_json(json.dumps(event(referrer="%25" * 20 + "a%25252525252540b.example")).encode(), nested)
    assert (order["order_tags"], nested["too_many_encodings"]) == (1, 1)


def test_each_removed_value_counts_once():
    removed = Counter()
    data = {"customData": {"email": "a@b.example", "phone": None, "address": {"city": "", "street": "x"}, "tel": ""}}
    location = {"href": "https://shop.example/?who=a%40b.example&token=1&q=a%40b.example+or+c%40d.example"}
    strip_json(json.dumps(event(data, location)).encode(), removed)
    assert removed == {"key": 1, "address": 1, "email": 3, "url_parameter": 1}
    before = removed.copy()
    for harmless in map(event, STAYING_OBJECTS):
        strip_json(json.dumps(harmless).encode(), removed)
    assert removed == before


PIECES = ["{", "}", "[", "]", '"', ": ", ", ", "\\", "email", "name", "value", "ada@b.example", "checkout", "token"]


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_mutated_events_that_are_not_decoded_are_untouched_by_all_rules(data):
    """Pieces of JSON and personal words anywhere, also within strings, between cached parts."""
    text = json.dumps(event({"a": {"name": "Mug {blue}"}, "b": [{"detail": "x"}, {"id": "7"}], "c": {}}))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        text = text[:at] + data.draw(st.sampled_from(PIECES) | st.text(max_size=3)) + text[at:]
    body = text.encode(errors="replace")
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    if is_harmless(body):
        assert without_personal_data(document) == document


@settings(max_examples=300, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(0, 99) | st.sampled_from(PIECES) | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(PIECES) | st.text(max_size=5), inner, max_size=4)
        ),
    )
)
def test_any_document_that_is_not_decoded_is_untouched_by_all_rules(document):
    body = json.dumps(document, ensure_ascii=False).encode(errors="replace")
    if is_harmless(body):
        assert is_untouched_by_all_rules(body)


def test_user_agents_lose_only_email_addresses():
    agents = {agent for crawler in CRAWLER_USER_AGENTS_DATA for agent in crawler["instances"]}
    assert len(agents) > 1000
    changed = {agent: clean_text(agent, numbers=False) for agent in agents if clean_text(agent, numbers=False) != agent}
    assert [agent for agent in changed if "@" not in agent and "at" not in agent.lower()] == []
    for agent in agents - changed.keys():
        body = json.dumps({"id": "1", "name": "n", "context": {"navigator": {"userAgent": agent}}}).encode()
        assert strip_json(body) == body


def test_real_events_lose_only_personal_data(shared_data):
    """Captured events: only keys that are personal lose their value."""
    personal = {"email", "phone", "smsMarketingPhone", "firstName", "lastName", "address1", "address2", "city", "zip"}

    def differences(before, after, path=()):
        if isinstance(before, dict) and isinstance(after, dict):
            for key in before:
                yield from differences(before[key], after.get(key), (*path, key))
        elif isinstance(before, list) and isinstance(after, list):
            for one, other in itertools.zip_longest(before, after):
                yield from differences(one, other, path)
        elif before != after:
            yield path

    for file in (shared_data / "pixel_payloads").glob("*.json"):
        before = json.loads(file.read_bytes())
        changed = set(differences(before, json.loads(strip_json(file.read_bytes()))))
        assert {path[-1] for path in changed} <= personal | {"province", "value", "token", "title"}, (
            file.name,
            changed,
        )
        assert not [path for path in changed if path[-1] == "token" and "checkout" in path]


def test_no_marked_value_is_in_any_byte_that_the_collector_writes(shop, tmp_path):
    events, texts, broken = marked_events(), marked_texts(), broken_bodies()
    order = order_webhook("zq9999x")
    body = json.dumps(order).encode()
    webhook = {
        "x-shopify-topic": "orders/create",
        "x-shopify-webhook-id": "w-1",
        "x-shopify-shop-domain": shop.domain,
        "x-shopify-hmac-sha256": base64.b64encode(hmac.new(SECRET, body, hashlib.sha256).digest()).decode(),
        "x-shopify-triggered-at": "zq9999x@b.example",
    }

    async def talk():
        async with running(shop, tmp_path, webhook_secrets=[SECRET], requests_per_second=0) as collector:
            headers = {"user-agent": "Agent (zq9998x@b.example)", "origin": "https://zq9998x@b.example"}
            answers = []
            for number in range(0, len(events), 50):
                batch = {
                    "pixel_version": "zq9998x@b.example",
                    "events": [one.body for one in events[number : number + 50]],
                }
                answers.append((await collector.post(json.dumps(batch), headers=headers)).status_code)
            answers += [(await collector.post(one.body)).status_code for one in texts]
            refused = [(await collector.post(one.body)).status_code for one in broken]
            kept = await collector.client.post("/v1/webhooks/shopify", content=body, headers=webhook)
            return answers, refused, kept.status_code

    answers, refused, kept = asyncio.run(talk())
    assert (set(answers), set(refused), kept) == ({204}, {400, 413}, 200)
    written = {path: as_read(path.read_bytes()) for path in tmp_path.rglob("*") if path.is_file()}
    assert len(written) >= 4
    marks = [one for found in (*events, *texts, *broken) for one in found.marks if one.startswith("zq")]
    for path, text in written.items():
        if "salt" not in path.name:
            assert [one for one in (*marks, "zq9998x", "zq9999x") if one in text] == [], path
    [stored] = [json.loads(path.read_bytes()) for path in (tmp_path / "webhooks").rglob("*.json")]
    order_kept = stored["body"]
    assert (order_kept["id"], order_kept["name"], order_kept["checkout_token"]) == (4711, "#1001", "ct-4711")
    assert order_kept["landing_site"].startswith("/products/mug?utm_source=mail&email=")
    assert order_kept["landing_site"].endswith("&gclid=abc")
    assert order_kept["customer"] == {"id": 7}
    assert order_kept["billing_address"] == {"country_code": "DE"}
    assert (order_kept["total_price"], order_kept["line_items"][0]["price"]) == ("10.50", "10.50")
