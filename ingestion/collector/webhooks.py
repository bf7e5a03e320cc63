"""Shopify's webhooks: verified, stripped of personal data, and stored as one file each.

Writes signed bodies to `data/landing/webhooks/<topic>/<webhook id>.json`, durably before responding with 200. A
repeated delivery finds its file and is not stored twice.
"""

import base64
import fcntl
import hashlib
import hmac
import os
import re
import secrets as random
from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from ingestion.collector.personal_data import strip_json
from ingestion.errors import IngestionError
from ingestion.landing import make_folder, sync_folder

# A signature covers only the body, not the headers. Per topic: the fields its body must have and must not have, so that
# the signed body of one topic cannot be sent as another. orders/create and orders/updated have the same bodies.
_PRIVACY = frozenset({"customer", "data_request", "orders_to_redact"})
_BODIES: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "customers/data_request": (frozenset({"customer", "data_request", "shop_domain"}), frozenset({"orders_to_redact"})),
    "customers/redact": (frozenset({"customer", "orders_to_redact", "shop_domain"}), frozenset({"data_request"})),
    "shop/redact": (frozenset({"shop_id", "shop_domain"}), _PRIVACY),
    "app/uninstalled": (frozenset({"id", "myshopify_domain"}), frozenset({"line_items", "variants"})),
    "orders/create": (frozenset({"id", "line_items"}), frozenset({"variants"})),
    "orders/updated": (frozenset({"id", "line_items"}), frozenset({"variants"})),
    "products/update": (frozenset({"id", "variants"}), frozenset({"line_items"})),
    "products/delete": (frozenset({"id"}), _PRIVACY | {"variants", "line_items", "shop_domain", "myshopify_domain"}),
}
TOPICS = frozenset(_BODIES)
SIGNATURE_CHARACTERS = 44  # of 32 bytes in base64
_WEBHOOK_ID = re.compile(r"[A-Za-z0-9-]{1,100}")
_API_VERSION = re.compile(r"\d{4}-\d{2}|unstable")
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T[\d:.]{5,18}(?:Z|[+-]\d{2}:?\d{2})?")


_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class WebhookRefused(IngestionError):
    """The webhook is refused. status: the HTTP status of the response."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Webhook(msgspec.Struct):
    """A stored webhook. body: as Shopify sent it, without personal data."""

    webhook_id: str
    topic: str
    shop: str
    received_at: datetime
    triggered_at: str | None
    api_version: str | None
    body: msgspec.Raw


def is_signed(body: bytes, signature: bytes, client_secrets: Sequence[bytes]) -> bool:
    """Whether `signature` is the base64 HMAC-SHA256 of the raw body under a secret, compared in constant time.

    Two secrets are valid during a rotation, which takes Shopify up to an hour.
    """
    found = False
    for secret in client_secrets:
        expected = base64.b64encode(hmac.new(secret, body, hashlib.sha256).digest())
        found |= hmac.compare_digest(expected, signature)
    return found


def keep_webhook(
    folder: Path, headers: dict[bytes, bytes], body: bytes, received_at: datetime, shops: Collection[str]
) -> Path:
    """Store a webhook with a verified signature; return when it is on disk.

    Args:
        shops: the domains of shops.toml; webhooks of other shops are refused.

    Raises:
        WebhookRefused: the topic, the shop or the id is missing or unknown, or the body does not belong to that topic
            and shop.
        OSError: it could not be stored; Shopify should send it again.
    """
    topic = headers.get(b"x-shopify-topic", b"").decode("latin-1")
    shop = headers.get(b"x-shopify-shop-domain", b"").decode("latin-1")
    webhook_id = headers.get(b"x-shopify-webhook-id", b"").decode("latin-1")
    if topic not in _BODIES:
        raise WebhookRefused(404, f"unknown topic: {topic[:100]!r}")
    if not _WEBHOOK_ID.fullmatch(webhook_id):
        raise WebhookRefused(400, "X-Shopify-Webhook-Id is missing or malformed")
    if shop not in shops:
        raise WebhookRefused(404, f"the shop {shop[:100]!r} is not in shops.toml")
    try:
        body.decode()
        _require_body_of(topic, shop, body)
        stripped = strip_json(body)
    except (UnicodeDecodeError, msgspec.MsgspecError, RecursionError) as error:
        raise WebhookRefused(400, f"the body is not a webhook in JSON: {error}") from error
    webhook = Webhook(
        webhook_id=webhook_id,
        topic=topic,
        shop=shop,
        received_at=received_at,
        triggered_at=_matching(_MOMENT, headers.get(b"x-shopify-triggered-at")),
        api_version=_matching(_API_VERSION, headers.get(b"x-shopify-api-version")),
        body=msgspec.Raw(stripped),
    )
    return _write_once(folder / topic.replace("/", "-"), f"{webhook_id}.json", msgspec.json.encode(webhook) + b"\n")


def unfinished_webhooks(folder: Path) -> list[Path]:
    """The files of webhooks that are being written, or whose writer was killed."""
    return sorted(folder.glob("*/.*.json-*"))


def _require_body_of(topic: str, shop: str, body: bytes) -> None:
    members = _decode_members(body)
    has, has_not = _BODIES[topic]
    if not has <= members.keys() or not has_not.isdisjoint(members):
        raise WebhookRefused(400, f"the signed body does not belong to topic {topic}")
    for name in ("shop_domain", "myshopify_domain"):
        if name in members and msgspec.json.decode(members[name]) not in (shop, None):
            raise WebhookRefused(400, f"the signed body names another shop than X-Shopify-Shop-Domain: {shop}")


def _matching(pattern: re.Pattern[str], value: bytes | None) -> str | None:
    """An unsigned header, if it has the expected form."""
    text = (value or b"").decode("latin-1")
    return text if pattern.fullmatch(text) else None


def _write_once(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    if path.exists():
        sync_folder(folder)  # another worker may not have synced the name yet
        return path
    make_folder(folder)
    unfinished = folder / f".{name}-{random.token_hex(4)}"
    descriptor = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o640)
    try:
        with os.fdopen(descriptor, "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # until it has its name: see remove_abandoned
            file.write(content)
            file.flush()
            os.fsync(descriptor)
            unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    sync_folder(folder)
    return path
