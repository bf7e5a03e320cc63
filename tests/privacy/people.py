"""Two small stores whose people have the same identifiers, and events that each belong to one person."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from ingestion.privacy.identifiers import CLIENT, CUSTOMER, ORDER, TOKEN, Identifier
from tests.landing_files import line

SHOP, OTHER_SHOP = "berlin.myshopify.com", "osaka.myshopify.com"
SHOPS_FILE = f"""
[[shops]]
domain = "{SHOP}"
name = "Berlin"
timezone = "Europe/Berlin"
currency = "EUR"
ingest_keys = ["key-of-berlin"]

[[shops]]
domain = "{OTHER_SHOP}"
name = "Osaka"
timezone = "Asia/Tokyo"
currency = "EUR"
ingest_keys = ["key-of-osaka"]
"""
FIRST = datetime(2026, 10, 1, 12, tzinfo=UTC)
ANNA, BEN, CARA, DAN = "anna", "ben", "cara", "dan"


class Person(NamedTuple):
    """customer: Shopify's id. browsers: their clientIds."""

    customer: str
    browsers: tuple[str, ...]


# Anna and Ben share a browser; Cara buys as a guest; Dan never buys.
PEOPLE = {
    ANNA: Person("7100000000001", ("anna-phone-3f6c1d", "shared-laptop-8b21aa")),
    BEN: Person("7100000000002", ("shared-laptop-8b21aa", "ben-phone-77e012")),
    CARA: Person("", ("cara-phone-15ab90",)),
    DAN: Person("", ("dan-phone-c0ffee",)),
}


class Event(NamedTuple):
    """An event and the person it belongs to."""

    person: str
    shop: str
    body: dict[str, Any]

    def line(self) -> bytes:
        """Its landing line, received a minute later."""
        received = datetime.fromisoformat(self.body["timestamp"]) + timedelta(minutes=1)
        return line(self.body, shop=self.shop, received_at=received, request_id=f"r-{self.body['id']}")

    def identifiers(self) -> set[Identifier]:
        """What the event states, found without the code under test."""
        checkout = self.body["data"].get("checkout", {})
        order = checkout.get("order") or {}
        stated = {
            CLIENT: self.body.get("clientId"),
            TOKEN: checkout.get("token"),
            ORDER: order.get("id"),
            CUSTOMER: (order.get("customer") or {}).get("id"),
        }
        return {Identifier(kind, value) for kind, value in stated.items() if value}


def events(shop: str) -> list[Event]:
    """Everyone's visits to a store on 20 days: each views a product; customers order on every fifth day."""
    return [event for day in range(20) for person in PEOPLE for event in _visit(person, shop, day)]


def _visit(name: str, shop: str, day: int) -> Iterator[Event]:
    person = PEOPLE[name]
    browser = person.browsers[day % len(person.browsers)]
    at = FIRST + timedelta(days=day, hours=list(PEOPLE).index(name))
    key = f"{shop[0]}{name}{day:02}"

    def event(number: int, event_name: str, data: dict[str, Any]) -> Event:
        moment = (at + timedelta(minutes=number)).isoformat().replace("+00:00", "Z")
        body = {"id": f"e-{key}-{number}", "name": event_name, "clientId": browser, "timestamp": moment, "data": data}
        return Event(name, shop, body)

    product = str(10 + day % 3)
    variant = {
        "id": product,
        "price": {"amount": 20, "currencyCode": "EUR"},
        "product": {"id": product, "title": "Cup"},
    }
    yield event(0, "product_viewed", {"productVariant": variant})
    if name == DAN or day % 5 != 4:
        return
    checkout = {
        "token": f"token-{key}-{day:08}",
        "currencyCode": "EUR",
        "totalPrice": {"amount": 20 + day, "currencyCode": "EUR"},
        "subtotalPrice": {"amount": 20 + day, "currencyCode": "EUR"},
        "lineItems": [{"title": "Cup", "quantity": 1, "variant": variant, "finalLinePrice": variant["price"]}],
    }
    yield event(1, "checkout_started", {"checkout": checkout})
    customer = {"id": person.customer, "isFirstOrder": day == 4} if person.customer else None
    order = {"id": f"{8_200_000_000_000 + day * 10 + list(PEOPLE).index(name)}", "customer": customer}
    yield event(2, "checkout_completed", {"checkout": {**checkout, "order": order}})
