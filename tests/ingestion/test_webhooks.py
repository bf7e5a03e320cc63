import asyncio
import base64
import hashlib
import hmac
import json

import msgspec
import pytest

from ingestion.collector import app
from ingestion.collector.server import webhook_secrets
from ingestion.collector.webhooks import TOPICS, is_signed
from tests.collector_process import collecting
from tests.ingestion.test_collector import running

SECRET = b"hush"
REDACT = (
    b'{"shop_id":954889,"shop_domain":"demo.myshopify.com","customer":{"id":191167,"email":"john@example.com",'
    b'"phone":"555-625-1199"},"orders_to_redact":[299938,280263,220458]}'
)
SIGNATURE = b"WyF/q9RU8mgLhlfm2Peg1K+C5urLU34BdtsIA6QL7Wg="


@pytest.fixture(scope="module")
def shop(shop):
    """The shop of the published example."""
    return msgspec.structs.replace(shop, domain="demo.myshopify.com")


def signed(body: bytes, secret: bytes = SECRET) -> str:
    return base64.b64encode(hmac.new(secret, body, hashlib.sha256).digest()).decode()


def deliver(shop, folder, *deliveries, secrets=(SECRET,), **changed):
    """The status of each delivery (topic, id, body, signature), and the stored webhooks."""

    async def talk():
        async with running(shop, folder, webhook_secrets=secrets) as collector:
            answers = []
            for topic, webhook_id, body, signature in deliveries:
                headers = {
                    "x-shopify-topic": topic,
                    "x-shopify-webhook-id": webhook_id,
                    "x-shopify-shop-domain": shop.domain,
                    "x-shopify-hmac-sha256": signature,
                    **{f"x-shopify-{name.replace('_', '-')}": value for name, value in changed.items()},
                }
                answers.append(await collector.client.post("/v1/webhooks/shopify", content=body, headers=headers))
            return [answer.status_code for answer in answers]

    statuses = asyncio.run(talk())
    kept = [json.loads(path.read_text()) for path in sorted((folder / "webhooks").rglob("*.json"))]
    return statuses, kept


def test_the_published_signature_is_valid():
    assert is_signed(REDACT, SIGNATURE, [SECRET])
    assert not is_signed(REDACT + b" ", SIGNATURE, [SECRET])
    assert not is_signed(REDACT, SIGNATURE, [b"another"])
    assert not is_signed(REDACT, b"", [SECRET])


def test_both_secrets_are_valid_during_rotation():
    assert is_signed(REDACT, SIGNATURE, [b"the new one", SECRET])


def test_published_examples_are_stored_without_personal_data(shop, shared_data, tmp_path):
    files = (shared_data / "webhooks").glob("*.example.json")
    # The examples do not name a shop.
    examples = {
        path.name.split(".")[0]: path.read_bytes().replace(b"{shop}.myshopify.com", shop.domain.encode())
        for path in files
    }
    known = {topic: examples[topic.replace("/", "_")] for topic in TOPICS if topic.replace("/", "_") in examples}
    assert len(known) >= 5
    statuses, kept = deliver(
        shop,
        tmp_path,
        *((topic, f"w-{number}", body, signed(body)) for number, (topic, body) in enumerate(known.items())),
    )
    assert set(statuses) == {200}
    assert {webhook["topic"] for webhook in kept} == set(known)
    for webhook in kept:
        text = json.dumps(webhook["body"])
        for personal in ("@example.com", "john@", "jon@", "555-"):
            assert personal not in text
    [redact] = [webhook for webhook in kept if webhook["topic"] == "customers/redact"]
    assert redact["body"]["customer"].keys() <= {"id", "admin_graphql_api_id"}
    assert redact["body"]["orders_to_redact"]


def test_repeated_deliveries_are_stored_once(shop, tmp_path):
    delivery = ("customers/redact", "w-1", REDACT, SIGNATURE.decode())
    statuses, kept = deliver(shop, tmp_path, delivery, delivery)
    assert (statuses, len(kept)) == ([200, 200], 1)
    assert deliver(shop, tmp_path, delivery)[1] == kept


def test_collector_removes_what_a_killed_one_left_of_a_webhook(tmp_path):
    (folder := tmp_path / "landing" / "webhooks" / "orders-create").mkdir(parents=True)
    (left := folder / ".w-1.json-0123abcd").write_text('{"customer":')
    (whole := folder / "w-2.json").write_text("{}")
    with collecting(tmp_path):
        assert not left.exists() and whole.exists()


@pytest.mark.parametrize(
    ("topic", "webhook_id", "body", "signature", "status"),
    [
        ("customers/redact", "w-1", REDACT, "", 401),
        ("customers/redact", "w-1", REDACT, signed(REDACT, b"another"), 401),
        ("customers/redact", "w-1", REDACT + b" ", SIGNATURE.decode(), 401),
        ("themes/publish", "w-1", REDACT, SIGNATURE.decode(), 404),
        ("customers/redact", "../../escape", REDACT, SIGNATURE.decode(), 400),
        ("customers/redact", "", REDACT, SIGNATURE.decode(), 400),
        ("customers/redact", "w-1", b"no json", signed(b"no json"), 400),
        ("customers/redact", "w-1", b'{"x":"\xff"}', signed(b'{"x":"\xff"}'), 400),
        ("orders/create", "w-1", b'{"x":"' + b"x" * 2_100_000 + b'"}', "any".zfill(44), 413),
        ("orders/create", "w-1", b'{"x":"' + b"x" * 2_100_000 + b'"}', "any", 401),
    ],
)
def test_invalid_webhooks_are_refused_and_store_nothing(shop, tmp_path, topic, webhook_id, body, signature, status):
    assert deliver(shop, tmp_path, (topic, webhook_id, body, signature)) == ([status], [])


PRODUCT = b'{"id":1,"title":"Mug","variants":[{"id":2}]}'
ORDER = b'{"id":1,"name":"#1001","line_items":[]}'


@pytest.mark.parametrize("domain", ["unknown.myshopify.com", "../../etc/passwd", "", "DEMO.myshopify.com", "a/b"])
def test_webhooks_of_unknown_shops_are_refused(shop, tmp_path, domain):
    delivery = ("products/update", "w-1", PRODUCT, signed(PRODUCT))
    assert deliver(shop, tmp_path, delivery, shop_domain=domain) == ([404], [])


def test_body_and_header_must_name_the_same_shop(shop, tmp_path):
    redact = REDACT.replace(b"demo.myshopify.com", b"other.myshopify.com")
    uninstalled = b'{"id":1,"myshopify_domain":"other.myshopify.com"}'
    deliveries = [
        ("customers/redact", "w-1", redact, signed(redact)),
        ("app/uninstalled", "w-2", uninstalled, signed(uninstalled)),
    ]
    assert deliver(shop, tmp_path, *deliveries) == ([400, 400], [])


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        ("shop/redact", REDACT),  # the one that would erase a whole shop
        ("customers/data_request", REDACT),
        ("orders/create", REDACT),
        ("products/delete", REDACT),
        ("products/delete", PRODUCT),
        ("app/uninstalled", PRODUCT),
        ("products/update", ORDER),
        ("shop/redact", ORDER),
        ("customers/redact", b'{"shop_id":1,"shop_domain":"demo.myshopify.com"}'),
        ("orders/create", b"[]"),
        ("orders/create", b"null"),
    ],
)
def test_a_signed_body_is_not_valid_for_another_topic(shop, tmp_path, topic, body):
    assert deliver(shop, tmp_path, (topic, "w-1", body, signed(body))) == ([400], [])


def test_malformed_unsigned_headers_are_dropped(shop, tmp_path):
    delivery = ("products/update", "w-1", PRODUCT, signed(PRODUCT))
    forged = {"triggered_at": "zelda@example.com", "api_version": "Zelda"}
    [webhook] = deliver(shop, tmp_path, delivery, **forged)[1]
    assert (webhook["triggered_at"], webhook["api_version"]) == (None, None)
    proper = {"triggered_at": "2026-11-22T10:00:00.123456789Z", "api_version": "2026-10"}
    [_, webhook] = deliver(shop, tmp_path, ("products/update", "w-2", PRODUCT, signed(PRODUCT)), **proper)[1]
    assert (webhook["triggered_at"], webhook["api_version"]) == tuple(proper.values())


def test_webhooks_without_a_configured_secret_get_503(shop, tmp_path):
    delivery = ("customers/redact", "w-1", REDACT, SIGNATURE.decode())
    assert deliver(shop, tmp_path, delivery, secrets=()) == ([503], [])


def test_concurrent_large_bodies_share_a_memory_budget(shop, tmp_path, monkeypatch):
    monkeypatch.setattr(app, "MAX_WEBHOOK_BYTES_TOGETHER", 1_000)
    large = b'{"x":"' + b"x" * 1_000 + b'"}'
    small = ("customers/redact", "w-2", REDACT, SIGNATURE.decode())
    deliveries = [("orders/create", "w-1", large, signed(large)), *[small] * 9]
    statuses, kept = deliver(shop, tmp_path, *deliveries)
    assert (statuses, len(kept)) == ([503, *[200] * 9], 1)  # nine times: the budget was released


def test_disk_errors_get_503_so_that_shopify_retries(shop, tmp_path):
    (tmp_path / "webhooks").write_text("a file where the folder should be")
    delivery = ("customers/redact", "w-1", REDACT, SIGNATURE.decode())
    assert deliver(shop, tmp_path, delivery)[0] == [503]


def test_secrets_come_from_the_list_and_the_stores():
    environment = {
        "PIXELNOVA_SHOPIFY_SECRETS": "old, new,",
        "PIXELNOVA_SHOPIFY_CLIENT_SECRET_A_SHOP": "of-a",
        "PIXELNOVA_SHOPIFY_CLIENT_SECRET_B": "new",
        "PIXELNOVA_SHOPIFY_CLIENT_ID_A_SHOP": "public",
    }
    assert webhook_secrets(environment) == [b"old", b"new", b"of-a"]
    assert webhook_secrets({}) == []
