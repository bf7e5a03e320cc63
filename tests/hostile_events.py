"""Streams of awkward events, for testing that many runs give the same result as one.

Provides a Hypothesis strategy for events of three shops in three time zones, around midnight, clock changes and gaps
of exactly half an hour. There are copies, late arrivals, bots, people who share and change browsers, exposures before,
during and after a phase of an experiment, and consent that is given and withdrawn.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from ingestion.assignment import assigned_bucket
from ingestion.landing import Consent
from ingestion.simulator.shoppers import BOTS, KINDS
from tests.landing_files import line

SHOPS = {
    "berlin.myshopify.com": ("Europe/Berlin", "EUR"),
    "auckland.myshopify.com": ("Pacific/Auckland", "NZD"),
    "newfoundland.myshopify.com": ("America/St_Johns", "CAD"),
}
SHOPS_FILE = "".join(
    f'[[shops]]\ndomain = "{domain}"\nname = "{domain}"\ntimezone = "{timezone}"\ncurrency = "{currency}"\n'
    f'ingest_keys = ["key-of-{domain.split(".")[0]}"]\n'
    for domain, (timezone, currency) in SHOPS.items()
)

# One experiment with a ramp-up in each shop, and a holdout in the first.
EXPERIMENTS_FILE = f"""
[[holdouts]]
shop = "{next(iter(SHOPS))}"
share = 0.4
start = 2026-03-09
""" + "".join(
    f"""
[[experiments]]
shop = "{domain}"
key = "lists"
name = "Lists"
primary_metrics = ["revenue_per_visitor"]
variations = [{{key = "control", shows = "default"}}, {{key = "b", shows = "popular"}}]
phases = [
    {{start = 2026-03-01, coverage = 0.5, weights = [0.5, 0.5]}},
    {{start = 2026-04-01, end = 2026-05-05, coverage = 1, weights = [0.5, 0.5]}},
]
"""
    for domain in SHOPS
)

HALF_AN_HOUR = timedelta(minutes=30)
MILLISECOND = timedelta(milliseconds=1)
# The clocks change in Berlin, Auckland and Newfoundland; a month ends; midnight in each shop; and an ordinary noon.
MOMENTS = [
    datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC),
    datetime(2026, 4, 4, 13, 59, 59, tzinfo=UTC),
    datetime(2026, 3, 8, 5, 29, 59, tzinfo=UTC),
    datetime(2026, 3, 31, 21, 59, 59, 999000, tzinfo=UTC),
    datetime(2026, 4, 10, 12, tzinfo=UTC),
    datetime(2026, 5, 2, 2, 30, tzinfo=UTC),
    datetime(2010, 11, 7, 2, 20, tzinfo=UTC),  # in Newfoundland 2:30 was the 7th, and 2:40 the 6th again
]
STEPS = [
    timedelta(0),
    MILLISECOND,
    timedelta(seconds=40),
    timedelta(minutes=10),
    HALF_AN_HOUR,
    HALF_AN_HOUR + MILLISECOND,
    timedelta(hours=2),
    timedelta(days=1),
    timedelta(days=8),
]
LATENESS = [timedelta(0), timedelta(seconds=2), timedelta(hours=5), timedelta(days=3), timedelta(days=20)]
NAMES = [
    *["page_viewed", "product_viewed"] * 3,
    *["collection_viewed", "search_submitted"] * 2,
    "product_added_to_cart",
    "product_added_to_cart",
    "product_removed_from_cart",
    "cart_viewed",
    "checkout_started",
    "payment_info_submitted",
    "checkout_completed",
    "checkout_completed",
    "pixelnova:recommendation_viewed",
    "pixelnova:recommendation_viewed",
    "pixelnova:recommendation_clicked",
    *["pixelnova:experiment_exposed"] * 3,
]
USER_AGENTS = [KINDS[0].user_agents[0], KINDS[1].user_agents[0], BOTS[0]]
# Shopify's snapshot, and whether the browser has Global Privacy Control.
CONSENTS = [
    (None, False),
    (Consent(analyticsProcessingAllowed=True), True),
    (Consent(True, True, True, True), False),
    (Consent(True, False, True, None), False),
    (Consent(True, None, False, True), False),
    (Consent(True, True, True, False), False),
    (Consent(True, False, False, True), True),
]
REFERRERS = ["", "https://www.google.com/", "https://l.instagram.com/", "https://blog.example/"]


@dataclass(frozen=True)
class StreamEvent:
    """One drawn event; its numbers choose from the lists above."""

    shop: int
    client: int
    name: str
    moment: int
    step: int
    lateness: int
    product: int
    token: int
    customer: int
    order: int
    copies: int
    referrer: int
    consent: int = 0


stream_events = st.builds(
    StreamEvent,
    shop=st.sampled_from([0, 0, 0, 1, 2]),
    client=st.integers(-1, 5),  # -1: none
    name=st.sampled_from(NAMES),
    moment=st.integers(0, len(MOMENTS) - 1),
    step=st.integers(0, len(STEPS) ** 2 - 1),
    lateness=st.integers(0, len(LATENESS) - 1),
    product=st.integers(1, 5),
    token=st.integers(-2, 6),
    customer=st.integers(-3, 3),
    order=st.integers(-1, 6),
    copies=st.sampled_from([0] * 8 + [1, 2]),
    referrer=st.integers(0, len(REFERRERS) - 1),
    consent=st.sampled_from([0] * 8 + [2] * 12 + list(range(len(CONSENTS)))),
)


def landing_lines(stream: list[StreamEvent]) -> list[bytes]:
    """The stream as landing lines, with copies, and one bot that opens sixty pages in twenty seconds."""
    lines = []
    for number, one in enumerate(stream):
        event = _event(number, one)
        happened = datetime.fromisoformat(event["timestamp"])
        received = happened + LATENESS[one.lateness]
        lines.append(_line(one, event, received, number))
        for copy in range(one.copies):
            # A copy may differ in content and time, and may be received before or after.
            other = event if copy else _event(number, _another(one)) | {"timestamp": _text(happened + HALF_AN_HOUR)}
            earlier = received - timedelta(hours=number % 3 - 1)
            said = replace(one, consent=(one.consent + copy) % len(CONSENTS))
            lines.append(_line(said, other, earlier, number))
    bot = StreamEvent(0, 0, "page_viewed", 4, 0, 0, 1, -1, -1, -1, 0, 0)
    for number in range(60):
        happened = MOMENTS[4] + timedelta(seconds=number / 3)
        event = {**_event(100_000 + number, bot), "timestamp": _text(happened), "clientId": "crawler"}
        lines.append(_line(bot, event, happened, 100_000 + number))
    return lines


def _another(one: StreamEvent) -> StreamEvent:
    """How a copy differs: another kind of event, browser (or none), checkout and order."""
    name = NAMES[(one.product * 3 + one.token) % len(NAMES)]
    return replace(one, name=name, client=one.order - 1, token=one.token - 1, customer=-one.customer, order=one.product)


def _line(one: StreamEvent, event: dict[str, Any], received: datetime, number: int) -> bytes:
    shop = list(SHOPS)[one.shop]
    consent, gpc = CONSENTS[one.consent]
    request = f"r{number}-{received:%d%H%M}-{one.consent}"  # a request has one snapshot
    return line(event, shop=shop, received_at=received, request_id=request, consent=consent, gpc=gpc)


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def _event(number: int, one: StreamEvent) -> dict[str, Any]:
    domain = list(SHOPS)[one.shop]
    currency = list(SHOPS.values())[one.shop if one.order != 5 else 0][1]  # sometimes another shop's currency
    happened = MOMENTS[one.moment] + STEPS[one.step % len(STEPS)] + STEPS[one.step // len(STEPS)]
    price = {"amount": one.product * 9.99, "currencyCode": currency}
    product = {
        "id": str(one.product),
        "title": f"Product {one.product} of {one.moment}",
        "vendor": f"V{one.product % 2}",
    }
    product["url"] = f"/products/p{one.product}"
    variant = {"id": str(one.product * 10), "price": price, "product": product, "sku": f"S{one.product}"}
    if one.token >= 0:
        variant["availableForSale"] = one.token % 2 == 0
    cart_line = {"cost": {"totalAmount": price}, "merchandise": variant, "quantity": 1 + one.token % 2}
    listed = [variant, {"product": {"id": str(one.product % 5 + 1)}}, {}][: one.token]
    data: dict[str, Any] = {}
    if one.name == "collection_viewed":
        data = {"collection": {"id": str(one.customer % 2 + 1), "title": f"C{one.moment}", "productVariants": listed}}
    elif one.name == "search_submitted":
        query = ["À  b", " a B", "c"][one.customer % 3]
        data = {"searchResult": {"query": query, "productVariants": listed if one.order else None}}
    elif one.name == "product_viewed":
        data = {"productVariant": variant}
    elif one.name in ("product_added_to_cart", "product_removed_from_cart"):
        data = {"cartLine": cart_line}
    elif one.name == "cart_viewed":
        data = {"cart": {"lines": [cart_line] * (one.token % 3)}}
    elif one.name.startswith("checkout") or one.name.startswith("payment"):
        customer = {"id": str(one.customer), "isFirstOrder": one.product == 1} if one.customer > 0 else None
        order = {"id": f"gid://shopify/OrderIdentity/{one.order}" if one.order > 0 else None, "customer": customer}
        items = [{"quantity": 1, "title": "x", "variant": variant, "finalLinePrice": price}]
        data = {"checkout": {"currencyCode": currency, "order": order, "lineItems": items, "totalPrice": price}}
        data["checkout"]["subtotalPrice"] = price
        if one.referrer:  # a discount of the order, which the final price shows or not
            off = {"amount": 2.5, "currencyCode": currency}
            application = {"targetType": "LINE_ITEM", "targetSelection": "ALL", "allocationMethod": "ACROSS"}
            items[0]["discountAllocations"] = [{"amount": off, "discountApplication": application}]
            data["checkout"]["subtotalPrice"] = price | {"amount": price["amount"] - 2.5 * (one.referrer - 1)}
        if one.customer < 0:
            recommendation = f"list-{one.token}.product_page.strategy-{one.order}.{1 - one.customer}"
            items[0]["properties"] = [{"key": "_pixelnova_rec", "value": recommendation}]
        if one.token >= 0:
            data["checkout"]["token"] = f"token-{one.token}"
    path = "/" if one.product == 1 else f"/products/p{one.product}"
    query = f"?pr_rec_id={one.token}&pr_rec_pid={one.product}" if one.name == "page_viewed" and one.order == 6 else ""
    return {
        "id": f"e{number}",
        "name": one.name,
        "clientId": f"client-{one.client}" if one.client >= 0 else None,
        "timestamp": _text(happened),
        "context": {
            "document": {
                "location": {"href": f"https://{domain}{path}{query}", "pathname": path, "search": query},
                "referrer": "" if one.order == 4 else REFERRERS[one.referrer],
            },
            "navigator": {"userAgent": USER_AGENTS[max(one.client, 0) % 3]},
        },
        "data": data,
        "customData": _custom_data(one),
    }


def _custom_data(one: StreamEvent) -> dict[str, Any] | None:
    if one.name == "pixelnova:experiment_exposed":
        return _exposure_data(one)
    return _list_data(one) if one.name.startswith("pixelnova:") else None


def _exposure_data(one: StreamEvent) -> dict[str, Any]:
    """One unit per browser, now and then another; in the right variation, except for product 5."""
    experiment = {1: "holdout", 2: "unknown", 3: "holdout"}.get(one.order, "lists")
    unit = f"unit-{one.client}-{one.token == 6}"
    is_second = assigned_bucket(experiment, unit) >= (4000 if experiment == "holdout" else 5000)
    names = ("control", "treatment" if experiment == "holdout" else "b")
    phase = 1 if experiment == "holdout" or one.moment < 3 else 2
    variation = names[is_second != (one.product == 5)]
    return {"v": 1, "experiment": experiment, "phase": phase, "variation": variation, "unit": unit}


def _list_data(one: StreamEvent) -> dict[str, Any]:
    """Few lists, so that several events share one; some have no id."""
    data = {"request_id": f"list-{one.token}" if one.token >= 0 else None, "placement": f"place-{one.customer % 2}"}
    products = [one.product, one.product % 5 + 1, one.order]
    if one.name.endswith("_viewed"):
        return data | {"product_ids": products, "strategies": [f"strategy-{one.order}"] * (one.referrer + 1)}
    return data | {"product_id": one.product, "strategy": f"strategy-{one.order}", "position": one.customer}


# Hypothesis starts with the simplest stream, the same event 150 times, which is not worth a minute.
streams = st.lists(stream_events, min_size=150, max_size=250).filter(lambda stream: len(set(stream)) > 140)
