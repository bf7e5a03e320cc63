"""Shopify's webhooks: checked, freed of personal data, and kept as one file each.

Signed bodies flow in; files `data/landing/webhooks/<topic>/<webhook id>.json` flow out, on disk before Shopify gets its
200. A webhook that is delivered again finds its file there and is not kept twice.
"""

import base64
import hashlib
import hmac
import os
import re
import secrets as random
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from ingestion.collector.personal_data import strip_json
from ingestion.landing import make_folder, sync_folder

TOPICS = frozenset(
    {
        "customers/data_request",
        "customers/redact",
        "shop/redact",
        "app/uninstalled",
        "orders/create",
        "orders/updated",
        "products/update",
        "products/delete",
    }
)
SIGNATURE_CHARACTERS = 44  # of 32 bytes in base64
_WEBHOOK_ID = re.compile(r"^[A-Za-z0-9-]{1,100}$")


class WebhookRefused(Exception):
    """The webhook is not kept. status: what Shopify is answered."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Webhook(msgspec.Struct):
    """One webhook as it is kept. body: as Shopify sent it, without personal data."""

    webhook_id: str
    topic: str
    shop: str
    received_at: datetime
    triggered_at: str | None
    api_version: str | None
    body: msgspec.Raw


def is_signed(body: bytes, signature: bytes, client_secrets: Sequence[bytes]) -> bool:
    """Whether `signature` is the base64 HMAC-SHA256 of the raw body under one of the secrets, in constant time each.

    Two secrets are in use while one is being replaced by the other, which takes Shopify up to an hour.
    """
    found = False
    for secret in client_secrets:
        expected = base64.b64encode(hmac.new(secret, body, hashlib.sha256).digest())
        found |= hmac.compare_digest(expected, signature)
    return found


def keep_webhook(folder: Path, headers: dict[bytes, bytes], body: bytes, received_at: datetime) -> Path:
    """Keep a webhook whose signature has been checked; return when it is on disk.

    Raises:
        WebhookRefused: the topic, the shop or the id is missing or unknown, or the body is no JSON.
        OSError: it is not on disk; Shopify should send it again.
    """
    topic = headers.get(b"x-shopify-topic", b"").decode("latin-1")
    shop = headers.get(b"x-shopify-shop-domain", b"").decode("latin-1")
    webhook_id = headers.get(b"x-shopify-webhook-id", b"").decode("latin-1")
    if topic not in TOPICS:
        raise WebhookRefused(404, f"no such topic here: {topic[:100]!r}")
    if not shop or not _WEBHOOK_ID.match(webhook_id):
        raise WebhookRefused(400, "X-Shopify-Shop-Domain or X-Shopify-Webhook-Id is missing or malformed")
    try:
        body.decode()
        stripped = strip_json(body)
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError) as error:
        raise WebhookRefused(400, f"the body is no JSON: {error}") from error
    webhook = Webhook(
        webhook_id=webhook_id,
        topic=topic,
        shop=shop,
        received_at=received_at,
        triggered_at=_text(headers, b"x-shopify-triggered-at"),
        api_version=_text(headers, b"x-shopify-api-version"),
        body=msgspec.Raw(stripped),
    )
    return _write_once(folder / topic.replace("/", "-"), f"{webhook_id}.json", msgspec.json.encode(webhook) + b"\n")


def _text(headers: dict[bytes, bytes], name: bytes) -> str | None:
    value = headers.get(name)
    return None if value is None else value[:100].decode("latin-1")


def _write_once(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    if path.exists():
        sync_folder(folder)  # another worker may have got no further than the name
        return path
    make_folder(folder)
    unfinished = folder / f".{name}-{random.token_hex(4)}"
    descriptor = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o640)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    sync_folder(folder)
    return path
