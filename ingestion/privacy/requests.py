"""Requests about people: from Shopify's webhooks and from the operator, one file each.

Takes the webhooks from data/landing/webhooks, which contain identifiers, into data/privacy/requests/<id>.json. A
fulfilled request keeps no identifier: only counts and a keyed hash of its subject remain, as proof.
"""

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from ingestion.collector.webhooks import Webhook, unfinished_webhooks
from ingestion.data_folder import landing_folder
from ingestion.landing import remove_abandoned, sync_folder
from ingestion.privacy.identifiers import CUSTOMER, ORDER, Identifier, identifier
from ingestion.privacy.state import write_state
from ingestion.privacy.suppression import Suppressions, privacy_folder

REDACT, SHOP_REDACT, DATA_REQUEST = "customers/redact", "shop/redact", "customers/data_request"
UNINSTALLED = "app/uninstalled"
ERASE, EXPORT = "operator/erase", "operator/export"
TOPICS = (REDACT, SHOP_REDACT, DATA_REQUEST, UNINSTALLED)
ERASURES = (REDACT, SHOP_REDACT, ERASE)
ACCESS = (DATA_REQUEST, EXPORT)
DEADLINE = timedelta(days=30)
# received ▶ erased (from tables and files) ▶ done (free space and old versions too); received ▶ done for the others.
RECEIVED, ERASED, DONE = "received", "erased", "done"


class Request(msgspec.Struct):
    """One request. identifiers: those it names, until it is fulfilled; subject: a keyed hash of the first.

    counts: what was erased or exported. whole_shop: everything of the shop. fulfilled_at: when the tables and files
    were free of the subject, or the export was written. detail: a sentence for the operator.
    """

    request_id: str
    shop: str
    topic: str
    requested_at: datetime
    identifiers: list[Identifier] = []
    whole_shop: bool = False
    subject: str | None = None
    status: str = RECEIVED
    fulfilled_at: datetime | None = None
    counts: dict[str, int] = {}
    detail: str | None = None

    @property
    def due_at(self) -> datetime:
        """When Shopify expects it to be fulfilled."""
        return self.requested_at + DEADLINE


def read_requests(data: Path) -> list[Request]:
    """All requests, oldest first."""
    files = sorted(_folder(data).glob("*.json"))
    found = [msgspec.json.decode(path.read_bytes(), type=Request) for path in files]
    return sorted(found, key=lambda request: (request.requested_at, request.request_id))


def write_request(data: Path, request: Request) -> None:
    """Write a request, or its new state, durably."""
    write_state(_folder(data) / f"{request.request_id}.json", request)


def new_request(
    data: Path, shop: str, topic: str, identifiers: Iterable[Identifier] = (), whole_shop: bool = False
) -> Request:
    """Record a request of the operator."""
    now = datetime.now(UTC)
    request = _with_subject(Request(str(uuid.uuid4()), shop, topic, now, list(identifiers), whole_shop), data)
    write_request(data, request)
    return request


def take_webhooks(data: Path) -> list[Path]:
    """Turn the webhooks about people into requests and remove their files; returns the removed files.

    Also removes what killed processes left of webhooks and requests: it may name people, and nothing else finds it.
    """
    unfinished = unfinished_webhooks(landing_folder(data) / "webhooks")
    remove_abandoned([*unfinished, *_folder(data).glob("*.tmp")])
    taken = []
    known = {request.request_id for request in read_requests(data)}
    for path in waiting_webhooks(data):
        webhook = msgspec.json.decode(path.read_bytes(), type=Webhook)
        request_id = f"webhook-{webhook.webhook_id}"
        if request_id not in known:
            write_request(data, _with_subject(_from_webhook(request_id, webhook), data))
        path.unlink()
        sync_folder(path.parent)
        taken.append(path)
    return taken


def waiting_webhooks(data: Path) -> list[Path]:
    """The files of webhooks about people that are not yet requests."""
    folder = landing_folder(data) / "webhooks"
    return sorted(path for topic in TOPICS for path in (folder / topic.replace("/", "-")).glob("*.json"))


def request_files(data: Path) -> list[Path]:
    """The files that requests are read from: waiting webhooks, and requests in any state."""
    return [*waiting_webhooks(data), *sorted(_folder(data).glob("*.json"))]


def uninstalled_shops(data: Path) -> set[str]:
    """The shops that have uninstalled the app and not been connected since: nothing is fetched from them."""
    return {request.shop for request in read_requests(data) if request.topic == UNINSTALLED and request.status != DONE}


def connected_again(data: Path, shop: str) -> None:
    """Record that a shop's Admin API answers again, so that it is fetched."""
    for request in read_requests(data):
        if request.topic == UNINSTALLED and request.shop == shop and request.status != DONE:
            request.status, request.fulfilled_at = DONE, datetime.now(UTC)
            request.detail = "The app was installed again."
            write_request(data, request)


def _folder(data: Path) -> Path:
    return privacy_folder(data) / "requests"


def _with_subject(request: Request, data: Path) -> Request:
    if request.identifiers:
        request.subject = Suppressions(data).hash(request.shop, request.identifiers[0])
    return request


def _from_webhook(request_id: str, webhook: Webhook) -> Request:
    body: dict[str, Any] = msgspec.json.decode(webhook.body)
    customer = body.get("customer")
    stated = [(CUSTOMER, customer.get("id") if isinstance(customer, dict) else None)]
    for name in ("orders_to_redact", "orders_requested"):
        orders = body.get(name)
        stated += [(ORDER, order) for order in orders] if isinstance(orders, list) else []
    identifiers = [one for one in (identifier(kind, value) for kind, value in stated) if one]
    request = Request(request_id, webhook.shop, webhook.topic, webhook.received_at.astimezone(UTC), identifiers)
    if webhook.topic == SHOP_REDACT:
        request.whole_shop = True
    elif webhook.topic == UNINSTALLED:
        request.identifiers = []
        request.detail = "Nothing is fetched until the app is installed again; the shop's data stays until shop/redact."
    elif not identifiers:
        request.status, request.fulfilled_at = DONE, datetime.now(UTC)
        request.detail = "The request names neither a customer nor an order, and e-mail addresses are not stored."
    return request
