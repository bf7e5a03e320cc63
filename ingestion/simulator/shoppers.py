"""The simulated store's shoppers: visits, views, purchases, and the pixel's requests.

From a seed, an end and a number of days, generates deliveries (each the body of one request to the collector) and the
shop's orders, some of which the pixel never sees.

Each visitor is seeded by the seed and the day of the first visit, so overlapping windows have the same events, and
running the demo twice adds only newer events.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from ingestion.experiments import Experiment
from ingestion.shops import Shop
from ingestion.simulator.catalogue import COLLECTIONS, Catalogue, Product, Variant
from ingestion.simulator.discounts import discounts_on
from ingestion.simulator.experiments import Experiments
from ingestion.simulator.orders import PlacedOrder, draft_orders, till_orders, with_aftermath
from ingestion.simulator.pixel_events import Browser, Checkout, Device, Event
from ingestion.simulator.recommendations import Lists, ListViewer, lists_of
from ingestion.simulator.regulars import regulars_of

PIXEL_VERSION = "simulator-1"
EVENTS_PER_DELIVERY = 20
BYTES_PER_DELIVERY = 59_000  # browsers send at most 64 KiB with keepalive
VISITORS_PER_DAY = 68
LIFE = timedelta(days=30)  # shoppers may return this long after the first visit
ALL_ALLOWED = dict.fromkeys(
    ("analyticsProcessingAllowed", "marketingAllowed", "preferencesProcessingAllowed", "saleOfDataAllowed"), True
)


@dataclass(frozen=True)
class _Kind:
    """A kind of device: its share of browsers, its screen and its user agents."""

    share: int
    width: int
    height: int
    user_agents: tuple[str, ...]


KINDS = [
    _Kind(
        42,
        1536,
        864,
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0",
        ),
    ),
    _Kind(
        52,
        390,
        844,
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
        ),
    ),
    _Kind(
        6,
        820,
        1180,
        (
            "Mozilla/5.0 (iPad; CPU OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/604.1",
            "Mozilla/5.0 (Linux; Android 14; SM-X710) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
        ),
    ),
]
BOTS = [
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/116.0.1938.76 Safari/537.36",
]
# (share, referrer, query string) of a session's landing page
ARRIVALS = [
    (30, "", ""),
    (26, "https://www.google.com/", ""),
    (4, "https://duckduckgo.com/", ""),
    (12, "https://www.google.com/", "utm_source=google&utm_medium=cpc&utm_campaign=kitchen-brand"),
    (10, "https://l.instagram.com/", "utm_source=instagram&utm_medium=paid_social&utm_campaign=autumn-table"),
    (5, "https://www.pinterest.com/", ""),
    (8, "", "utm_source=newsletter&utm_medium=email&utm_campaign=weekly"),
    (5, "https://www.thekitchenpages.example/best-skillets", ""),
]
SEARCHES_IN_VAIN = 0.15  # of searches, for what the shop does not have
NEVER_SOLD = ("Fondue Set", "Crème Brûlée Torch", "Waffle Iron")
THANK_YOU_NEVER_LOADED = 0.03  # of orders: Shopify then never sends checkout_completed
STEPS_TO_PAYMENT = (
    "checkout_contact_info_submitted",
    "checkout_address_info_submitted",
    "checkout_shipping_info_submitted",
    "payment_info_submitted",
)


@dataclass(frozen=True)
class Delivery:
    """One request of the pixel: at most 20 events of one browser, and its consent."""

    sent_at: datetime
    consent: dict[str, bool]
    events: Sequence[Event]
    gpc: bool = False

    @property
    def body(self) -> dict[str, Any]:
        """The request body, before it is encoded."""
        return {"pixel_version": PIXEL_VERSION, "consent": self.consent, "gpc": self.gpc, "events": self.events}


@dataclass(frozen=True)
class Simulation:
    """The events of a window: deliveries in order of sending, orders in order of placement; what was planted, as JSON."""

    deliveries: list[Delivery]
    orders: list[PlacedOrder]
    planted: dict[str, Any]


def simulate(
    shop: Shop,
    catalogue: Catalogue,
    seed: int,
    end: datetime,
    days: int = 30,
    experiments: Sequence[Experiment] = (),
    lost_exposures: float = 0,
) -> Simulation:
    """All deliveries and orders of the `days` before `end`.

    About 100 sessions a day. They include bots, refused consent, repeated and late deliveries, and a few events with
    invalid timestamps. The orders include some whose thank-you page never loaded, point-of-sale, draft and test orders,
    refunds and cancellations.

    Args:
        experiments: with any, lists cause clicks and purchases; without, shoppers ignore lists.
        lost_exposures: the share of exposures to treatments that is lost, which breaks the split.
    """
    begin = end - timedelta(days=days)
    first_day, last_day = (begin - LIFE).date(), end.date()
    lists = lists_of(catalogue)
    running = Experiments(shop, catalogue, experiments, lost_exposures) if experiments else None
    deliveries, orders = [], []
    for day in (first_day + timedelta(days=n) for n in range((last_day - first_day).days + 2)):
        rng = Random(f"visitors/{seed}/{day}")
        busy = 1.25 if day.weekday() >= 5 else 0.9
        for number in range(round(VISITORS_PER_DAY * busy * rng.uniform(0.85, 1.15))):
            list_rng = Random(f"recommendations/{seed}/{day}/{number}")
            rng_of_visitor = Random(f"visitor/{seed}/{day}/{number}")
            visitor = _Visitor(shop, catalogue, rng_of_visitor, day, lists, list_rng, running)
            deliveries += visitor.deliveries(begin, end)
            placed = [*visitor.placed, *visitor.list_viewer.placed]
            orders += [order for order in placed if begin <= order.placed_at < end]
        for visit in (visit for one in regulars_of(shop, catalogue, seed, day, LIFE) for visit in one.visits):
            if begin <= _sent_at(visit.events) < end:
                deliveries += [Delivery(_sent_at(part), ALL_ALLOWED, part) for part in _chunks(visit.events)]
                orders += [visit.order] if visit.order else []
        elsewhere = [*till_orders(shop, catalogue, seed, day), *draft_orders(shop, catalogue, seed, day)]
        orders += [order for order in elsewhere if begin <= order.placed_at < end]
    return Simulation(
        sorted(deliveries, key=lambda delivery: (delivery.sent_at, delivery.events[0]["id"])),
        sorted((with_aftermath(order, end) for order in orders), key=lambda order: (order.placed_at, order.id)),
        running.planted.document(begin, end) if running else {},
    )


class _Visitor:
    """One person: devices, taste, consent, and the sessions of one life."""

    def __init__(
        self,
        shop: Shop,
        catalogue: Catalogue,
        rng: Random,
        first_day: date,
        lists: Lists,
        list_rng: Random,
        experiments: Experiments | None,
    ) -> None:
        self.shop, self.catalogue, self.rng, self.first_day = shop, catalogue, rng, first_day
        self.is_bot = rng.random() < 0.02
        consents = self.is_bot or rng.random() > 0.07
        self.consent = {
            "analyticsProcessingAllowed": consents,
            "marketingAllowed": consents and rng.random() < 0.8,
            "preferencesProcessingAllowed": consents,
            "saleOfDataAllowed": consents and (objection := rng.random()) < 0.95,
        }
        self.gpc = not self.is_bot and consents and objection >= 0.975
        self.list_viewer = ListViewer(lists, list_rng, consents and not self.is_bot, self.is_bot, experiments)
        self.taste = rng.sample(list(COLLECTIONS), 2)
        self.browsers = [self._browser() for _ in range(1 if self.is_bot or rng.random() < 0.75 else 2)]
        self.customer_id = 6_100_000_000_000 + rng.randrange(10**9)
        self.orders = 0
        self.placed: list[PlacedOrder] = []

    def deliveries(self, begin: datetime, end: datetime) -> Iterator[Delivery]:
        """The pixel's requests with this visitor's events from `begin` to before `end`."""
        for started_at in self._session_starts():
            browser = self.rng.choice(self.browsers)
            browser.events.clear()
            if self.is_bot:
                self._crawl(browser, started_at)
            else:
                self._shop(browser, started_at)
            yield from self._send(browser.events, begin, end)

    def _browser(self) -> Browser:
        rng = self.rng
        if self.is_bot:
            device = Device(rng.choice(BOTS), "en-US", 1366, 768)
        else:
            kind = rng.choices(KINDS, [kind.share for kind in KINDS])[0]
            language = rng.choice(["en-US", "en-US", "es-US"])
            device = Device(rng.choice(kind.user_agents), language, kind.width, kind.height)
        client_id = str(UUID(int=rng.getrandbits(128), version=4))
        return Browser(client_id, device, self.shop.domain, self.shop.currency, rng)

    def _session_starts(self) -> Iterator[datetime]:
        rng, visits = self.rng, 1
        comes_back = 0.25 if len(self.browsers) == 1 else 0.55  # visitors with two devices are regulars
        while visits < 12 and rng.random() < comes_back:
            visits += 1
        offsets = sorted({0, *(rng.randrange(1, LIFE.days) for _ in range(visits - 1))})
        for offset in offsets:
            hour = rng.choices(range(24), [1] * 7 + [2, 3, 4, 5, 5, 6, 6, 5, 5, 5, 6, 7, 9, 9, 8, 5, 2])[0]
            local = time(hour, rng.randrange(60), rng.randrange(60), rng.randrange(1000) * 1000)
            day = self.first_day + timedelta(days=offset)
            yield datetime.combine(day, local, ZoneInfo(self.shop.timezone)).astimezone(UTC)

    def _shop(self, browser: Browser, now: datetime) -> None:
        """One session: land, browse, perhaps fill a cart, perhaps buy."""
        rng = self.rng
        _, referrer, query = rng.choices(ARRIVALS, [share for share, *_ in ARRIVALS])[0]
        collection = rng.choice(self.taste)
        product = self._pick(collection)
        cart: list[tuple[Product, Variant, int]] = []
        suffix = f"?{query}" if query else ""
        landing = rng.random()
        if landing < 0.4:
            browser.open_page(f"/{suffix}", self.shop.name, now, referrer)
        elif landing < 0.6:
            self._view_collection(browser, collection, now, suffix, referrer)
        else:
            now = self._view_product(browser, product, cart, now, suffix, referrer)
        while rng.random() < 0.72:
            now = self._pause(now)
            step = rng.random()
            if step < 0.12:
                self._view_collection(browser, collection, now)
            elif step < 0.18:
                self._search(browser, collection, now)
            elif step < 0.23:
                collection = rng.choice(list(COLLECTIONS))
            else:
                companion = self.catalogue.companions.get(product.id)
                product = companion if companion and rng.random() < 0.25 else self._pick(collection)
                now = self._view_product(browser, product, cart, now)
        if cart:
            self._leave_with(browser, cart, self._pause(now))

    def _pick(self, collection: str) -> Product:
        """A product of the collection; popularity falls like 1/rank."""
        products = self.catalogue.published(collection)
        return self.rng.choices(products, [1 / (rank + 2) for rank in range(len(products))])[0]

    def _pause(self, now: datetime) -> datetime:
        """The time of the next click; sometimes after a pause that ends the session."""
        seconds = 2700 if self.rng.random() < 0.004 else self.rng.lognormvariate(3.2, 0.8)
        return now + timedelta(milliseconds=round(seconds * 1000))

    def _view_collection(
        self, browser: Browser, collection: str, now: datetime, suffix: str = "", referrer: str | None = None
    ) -> None:
        browser.open_page(f"/collections/{collection.lower()}{suffix}", collection, now, referrer)
        shown = [browser.variant(p, p.variants[0]) for p in self.catalogue.published(collection)[:4]]
        number = str(430_000_000_000 + list(COLLECTIONS).index(collection))
        data = {"collection": {"id": number, "title": collection, "productVariants": shown}}
        browser.emit("collection_viewed", now + timedelta(milliseconds=120), data)

    def _search(self, browser: Browser, collection: str, now: datetime) -> None:
        product_type = self.rng.choice(list(COLLECTIONS[collection]))
        rng = Random(f"search/{browser.client_id}/{browser.seq}")
        wanted = rng.choice(NEVER_SOLD) if rng.random() < SEARCHES_IN_VAIN else product_type
        query = rng.choice([wanted, wanted.upper(), f" {wanted}  "])
        browser.open_page(f"/search?q={query.replace(' ', '+')}", "Search", now)
        found = [p for p in self.catalogue.published(collection) if p.product_type == wanted][:3]
        data = {
            "searchResult": {
                "query": query,
                "productVariants": [browser.variant(p, p.variants[0]) for p in found],
            }
        }
        browser.emit("search_submitted", now + timedelta(milliseconds=90), data)

    def _view_product(
        self,
        browser: Browser,
        product: Product,
        cart: list[tuple[Product, Variant, int]],
        now: datetime,
        suffix: str = "",
        referrer: str | None = None,
    ) -> datetime:
        variant = self.rng.choice(product.variants)
        browser.open_page(f"/products/{product.handle}{suffix}", product.title, now, referrer)
        data = {"productVariant": browser.variant(product, variant)}
        browser.emit("product_viewed", now + timedelta(milliseconds=150), data)
        companion = self.catalogue.companions.get(product.id)
        if variant.inventory and self.rng.random() < 0.11:
            now = self._add(browser, product, variant, cart, self._pause(now))
            if companion and self.rng.random() < 0.5:
                now = self._pause(now)
                browser.open_page(f"/products/{companion.handle}", companion.title, now)
                shown = self.rng.choice([v for v in companion.variants if v.inventory])
                seen = {"productVariant": browser.variant(companion, shown)}
                browser.emit("product_viewed", now + timedelta(milliseconds=150), seen)
                now = self._add(browser, companion, shown, cart, self._pause(now))
        return now

    def _add(
        self,
        browser: Browser,
        product: Product,
        variant: Variant,
        cart: list[tuple[Product, Variant, int]],
        now: datetime,
    ) -> datetime:
        quantity = self.rng.choices([1, 2, 4], [80, 15, 5])[0]
        if self.catalogue.sells(product, now) and not any(variant.id == in_cart.id for _, in_cart, _ in cart):
            cart.append((product, variant, quantity))
            line = browser.cart_line(product, variant, quantity)
            browser.emit("product_added_to_cart", now, {"cartLine": line})
        return now

    def _leave_with(self, browser: Browser, cart: list[tuple[Product, Variant, int]], now: datetime) -> None:
        """View the cart, then leave or check out; some visitors drop out at each step."""
        rng = self.rng
        if len(cart) > 1 and rng.random() < 0.15:
            product, variant, quantity = cart.pop()
            line = browser.cart_line(product, variant, quantity)
            browser.emit("product_removed_from_cart", now, {"cartLine": line})
        if rng.random() < 0.85:
            now = self._pause(now)
            browser.open_page("/cart", "Your cart", now)
            browser.emit("cart_viewed", now + timedelta(milliseconds=110), {"cart": self._cart(browser, cart)})
        if rng.random() > 0.55:
            return
        gross = sum(variant.price_cents * quantity for _, variant, quantity in cart)
        token = f"{rng.getrandbits(128):032x}"
        delivery_cents = 0 if gross >= 7500 else 695
        checkout = Checkout(
            token=token,
            lines=cart,
            discounts=discounts_on(cart, delivery_cents, rng.random() < 0.2, Random(f"discounts/{token}")),
            delivery_cents=delivery_cents,
            tax_percent=rng.choice([0, 6.25, 8.875]),
            customer_id=self.customer_id if self.orders or len(self.browsers) > 1 or rng.random() < 0.5 else None,
            is_first_order=self.orders == 0,
        )
        now = self._pause(now)
        path = f"/checkouts/cn/{token}"
        browser.open_page(path, "Checkout", now)
        browser.emit("checkout_started", now + timedelta(milliseconds=200), checkout.data(browser))
        for step in STEPS_TO_PAYMENT:
            if rng.random() > 0.95:
                return
            now = self._pause(now)
            browser.emit(step, now, checkout.data(browser))
        now = self._pause(now)
        order_id = 5_400_000_000_000 + rng.randrange(10**11)
        self.placed.append(self._placed(checkout, order_id, now + timedelta(milliseconds=250)))
        if Random(f"thank-you/{order_id}").random() < THANK_YOU_NEVER_LOADED:
            self.orders += 1
            return
        browser.open_page(f"{path}/thank-you", "Thank you", now)
        browser.emit(
            "checkout_completed", now + timedelta(milliseconds=300), checkout.data(browser, order_id, paid=True)
        )
        self.orders += 1
        if rng.random() < 0.06:  # the thank-you page is reloaded: another event, the same order
            now += timedelta(minutes=rng.randint(1, 20))
            browser.emit("checkout_completed", now, checkout.data(browser, order_id, paid=True))

    def _placed(self, checkout: Checkout, order_id: int, at: datetime) -> PlacedOrder:
        return PlacedOrder(
            id=order_id,
            checkout_token=checkout.token,
            source_name="web",
            placed_at=at,
            currency=self.shop.currency,
            customer_id=checkout.customer_id,
            lines=tuple(checkout.lines),
            subtotal_cents=checkout.subtotal_cents,
            discounted_cents=tuple(checkout.final_line_cents),
            discount_cents=checkout.discount_cents,
            shipping_cents=checkout.shipping_cents,
            tax_cents=checkout.tax_cents,
        )

    def _cart(self, browser: Browser, cart: list[tuple[Product, Variant, int]]) -> dict[str, Any]:
        total = sum(variant.price_cents * quantity for _, variant, quantity in cart)
        return {
            "attributes": [],
            "cost": {"totalAmount": browser.money(total)},
            "id": f"gid://shopify/Cart/{browser.client_id}",
            "lines": [browser.cart_line(*line) for line in cart],
            "totalQuantity": sum(quantity for _, _, quantity in cart),
        }

    def _crawl(self, browser: Browser, now: datetime) -> None:
        """A crawler opens one product page per second."""
        for collection in self.taste:
            for product in self.catalogue.published(collection)[: self.rng.randint(5, 25)]:
                now += timedelta(seconds=1)
                browser.open_page(f"/products/{product.handle}", product.title, now, referrer="")
                data = {"productVariant": browser.variant(product, product.variants[0])}
                browser.emit("product_viewed", now + timedelta(milliseconds=80), data)

    def _send(self, visit: Sequence[Event], begin: datetime, end: datetime) -> Iterator[Delivery]:
        """A visit's requests. Only standard events decide what is late, repeated, broken and in the window."""
        rng, published = self.rng, iter(self.list_viewer.publish(visit))
        for chunk in _chunks(visit):
            sent_at = _sent_at(chunk)
            late, twice, broken = rng.random() < 0.02, rng.random() < 0.015, rng.random() < 0.0015
            delay = timedelta(minutes=rng.randint(20, 60 * 24 * 3))
            events = [event for _ in chunk for event in next(published)]
            if broken:
                events[-1] = {**events[-1], "timestamp": "yesterday"}
            if not begin <= sent_at < end:
                continue
            for part in _chunks(events):  # with custom events it may exceed one request
                delivery = Delivery(sent_at + delay if late else sent_at, self.consent, part, self.gpc)
                yield delivery
                if twice:
                    yield Delivery(delivery.sent_at + timedelta(seconds=3), self.consent, part, self.gpc)
        for part in _chunks(next(published)):
            if begin <= _sent_at(part) < end:
                yield Delivery(_sent_at(part), self.consent, part, self.gpc)


def _sent_at(events: Sequence[Event]) -> datetime:
    return datetime.fromisoformat(events[-1]["timestamp"])


def _chunks(events: Sequence[Event]) -> Iterator[list[Event]]:
    """Events in order, split into deliveries as the pixel splits requests."""
    chunk: list[Event] = []
    size = 0
    for event in events:
        event_size = len(msgspec.json.encode(event)) + 1
        if chunk and (len(chunk) == EVENTS_PER_DELIVERY or size + event_size > BYTES_PER_DELIVERY):
            yield chunk
            chunk, size = [], 0
        chunk.append(event)
        size += event_size
    if chunk:
        yield chunk
