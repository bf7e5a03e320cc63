"""The pixel in a real browser, in both of Shopify's sandboxes, against the real collector.

The page imitates the documented pixel API; it is not Shopify's own pixel manager.
"""

import json
import re
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import pytest

from ingestion.collector.app import Collector, CollectorSettings
from ingestion.collector.personal_data import strip_json
from ingestion.pixel.packaging import PERSONAL_DATA, RULES, PackagingError, custom_pixel, write_app_pixel
from tests.browser import running
from tests.landing_files import open_events
from tests.personal_corpus import event, marked_events
from tests.staying_corpus import STAYING_OBJECTS, STAYS

ALLOWED, DENIED = {"analyticsProcessingAllowed": True}, {"analyticsProcessingAllowed": False}
CHECKOUT = {
    "checkout": {
        "token": "t",
        "email": "buyer@example.com",
        "phone": "+1555",
        "shippingAddress": {"firstName": "Ada", "address1": "1 Main St", "countryCode": "US"},
        "order": {"id": "7", "customer": {"id": "9"}},
        "lineItems": [{"quantity": 1, "properties": [{"key": "_pixelnova_rec", "value": "r1"}]}],
    }
}


@pytest.fixture(scope="module")
def storefront():
    """Serves the page."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(Path(__file__).parent)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/pixel_page.html"
    server.shutdown()


class Watched:
    """The real collector, with optional 503 responses; records bodies and origins."""

    def __init__(self, collector) -> None:
        self.collector = collector
        self.shut = 0  # how many more requests get 503
        self.bodies: list[bytes] = []
        self.origins: set[bytes] = set()

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.collector(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.bodies.append(body)
        self.origins.add(dict(scope["headers"]).get(b"origin"))
        if self.shut:
            self.shut -= 1
            headers = [(b"access-control-allow-origin", b"null"), (b"retry-after", b"1")]
            await send({"type": "http.response.start", "status": 503, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return

        async def again():
            return {"type": "http.request", "body": body, "more_body": False}

        await self.collector(scope, again, send)


@pytest.fixture
def collector(shop, tmp_path):
    settings = CollectorSettings([shop], tmp_path, tmp_path / "salts", requests_per_second=0)
    watched = Watched(Collector(settings))
    with running(watched) as port:
        url = f"http://127.0.0.1:{port}"
        yield SimpleNamespace(url=url, watched=watched, stored=lambda: open_events(tmp_path))


def packaged(strict: bool, collector, shop, tmp_path) -> dict:
    """The packaged pixel, without the imports that Shopify's bundler resolves."""
    settings = {"collectorUrl": collector.url, "ingestKey": shop.ingest_keys[0]}
    if not strict:
        return {"pixel": custom_pixel(settings["collectorUrl"], settings["ingestKey"])}
    source = write_app_pixel(tmp_path / "app_pixel") / "src"
    text = (source / "pixelnova.js").read_text() + (source / "index.js").read_text()
    return {"pixel": re.sub(r"^import .*$|^export ", "", text, flags=re.MULTILINE), "settings": settings}


@pytest.fixture(params=["custom pixel", "app pixel"])
def visit(request, chromium, storefront, collector, shop, tmp_path):
    """Opens the storefront with the pixel; `tell` publishes events to it."""
    strict = request.param == "app pixel"
    pixel = packaged(strict, collector, shop, tmp_path)
    context = chromium.new_context()
    page = context.new_page()

    def open_page(consent=ALLOWED, before=""):
        init = {"data": {"shop": {"myshopifyDomain": shop.domain}}, "customerPrivacy": consent}
        page.goto("about:blank")
        config = {**pixel, "pixel": before + pixel["pixel"], "strict": strict, "init": init}
        page.goto(f"{storefront}#{quote(json.dumps(config))}")
        page.wait_for_function("window.pixelIsReady")

    def message(name, data=None, channel="all_standard_events", number=1):
        event = {"id": f"{name}-{number}", "name": name, "clientId": "c", "type": "standard", "data": data or {}}
        return [channel, event]

    def tell(*arguments, **named):
        tell_together(message(*arguments, **named))

    def tell_together(*messages):
        """Publish messages in one browser call, so that the time between calls does not matter."""
        page.evaluate("(messages) => messages.forEach(([channel, event]) => tell(channel, event))", list(messages))

    def consents(to):
        tell_together(consent_message(to))

    def consent_message(to):
        return ["visitorConsentCollected", {"customerPrivacy": to}]

    yield SimpleNamespace(
        open=open_page,
        tell=tell,
        consents=consents,
        tell_together=tell_together,
        message=message,
        consent_message=consent_message,
        page=page,
    )
    context.close()


def eventually(ask, expected, settle_seconds=0.3):
    """Wait until `ask()` gives `expected`, then a moment longer to notice surplus events."""
    deadline = time.monotonic() + 60
    while ask() != expected and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(settle_seconds)
    assert ask() == expected


def ids(collector) -> list[str]:
    return sorted({event["id"] for event in collector.stored()})


def test_standard_and_custom_events_arrive_and_dom_events_do_not(visit, collector):
    visit.open()
    visit.tell("page_viewed")
    visit.tell("pixelnova:recommendation_viewed", {"request_id": "r"}, channel="all_custom_events")
    visit.tell("clicked", channel="all_dom_events")
    eventually(lambda: ids(collector), ["page_viewed-1", "pixelnova:recommendation_viewed-1"])
    assert collector.watched.origins == {b"null"}
    body = json.loads(collector.watched.bodies[0])
    assert (body["pixel_version"], body["consent"]) == ("1", ALLOWED)
    assert body["shop"].endswith(".myshopify.com")


def test_events_are_batched(visit, collector):
    visit.open()
    visit.tell_together(*(visit.message("page_viewed", number=number) for number in range(45)))
    eventually(lambda: len(ids(collector)), 45)
    assert len(collector.watched.bodies) < 12
    assert max(len(json.loads(body)["events"]) for body in collector.watched.bodies) <= 20


@pytest.mark.parametrize("consent", [DENIED, {}])
def test_without_consent_nothing_is_sent(visit, collector, consent):
    visit.open(consent)
    visit.tell("page_viewed")
    time.sleep(1)
    assert collector.watched.bodies == []


def test_consent_changes_are_followed(visit, collector):
    visit.open(DENIED)
    visit.tell("page_viewed", number=1)
    visit.consents(ALLOWED)
    visit.tell("page_viewed", number=2)
    eventually(lambda: ids(collector), ["page_viewed-2"])
    visit.tell_together(  # the third is withdrawn before its batch is due
        visit.message("page_viewed", number=3),
        visit.consent_message(DENIED),
        visit.message("page_viewed", number=4),
    )
    time.sleep(1)
    assert ids(collector) == ["page_viewed-2"]


def test_a_503_is_retried_with_the_identical_body(visit, collector):
    collector.watched.shut = 2
    visit.open()
    visit.tell("checkout_completed", CHECKOUT)
    eventually(lambda: ids(collector), ["checkout_completed-1"])
    assert len(collector.watched.bodies) == 3
    assert len(set(collector.watched.bodies)) == 1


def test_personal_data_outside_checkouts_does_not_leave_the_browser(visit, collector):
    visit.open()
    visit.tell("newsletter", {"customData": {"Email": "a@b.example", "who": "zelda%40b.example"}}, "all_custom_events")
    eventually(lambda: ids(collector), ["newsletter-1"])
    [body] = collector.watched.bodies
    assert json.loads(body)["events"][0]["data"] == {"customData": {"Email": None, "who": "[e-mail]"}}


def test_personal_data_does_not_leave_the_browser(visit, collector):
    visit.open()
    visit.tell("checkout_completed", CHECKOUT)
    eventually(lambda: ids(collector), ["checkout_completed-1"])
    sent = b"".join(collector.watched.bodies)
    for personal in (b"buyer@example.com", b"+1555", b"Ada", b"Main St"):
        assert personal not in sent
    checkout = json.loads(sent)["events"][0]["data"]["checkout"]
    assert checkout["order"] == {"id": "7", "customer": {"id": "9"}}
    assert checkout["lineItems"] == CHECKOUT["checkout"]["lineItems"]
    assert checkout["shippingAddress"]["countryCode"] == "US"


@pytest.mark.parametrize("kibibytes", [63, 65])
def test_oversized_batches_are_split(visit, collector, kibibytes):
    """With three-byte characters: the limit is in bytes of UTF-8."""
    visit.open()
    for number in range(4):
        visit.tell("page_viewed", {"text": "€" * (kibibytes * 1024 // 12)}, number=number)
    eventually(lambda: len(ids(collector)), 4)
    assert max(map(len, collector.watched.bodies)) <= 60_000
    assert len(collector.watched.bodies) > 1


MONEY = {"amount": 10.5, "currencyCode": "USD"}


def allocation(amount: float, target: str, title: str) -> dict:
    application = {
        "allocationMethod": "ACROSS",
        "targetSelection": target,
        "targetType": "LINE_ITEM",
        "title": title,
        "type": "DISCOUNT_CODE",
        "value": {"percentage": 10},
    }
    return {"amount": {"amount": amount, "currencyCode": "USD"}, "discountApplication": application}


def order_of(lines: int) -> dict:
    """A checkout with `lines` lines, each with two order discounts and one line discount."""
    product = {"id": "1", "title": "A title", "vendor": "A vendor", "url": "/products/" + "x" * 500}
    line = {
        "title": "A title",
        "quantity": 2,
        "finalLinePrice": MONEY,
        "variant": {"id": "2", "price": MONEY, "sku": "S", "product": product},
        "properties": [{"key": "_pixelnova_rec", "value": "r1"}, {"key": "Engraving", "value": "words"}],
        "discountAllocations": [
            allocation(0.1, "ALL", "A code for everybody"),
            allocation(0.2, "ALL", "Another code"),
            allocation(1.25, "ENTITLED", "Mugs"),
        ],
    }
    items = [{"id": str(number), **line} for number in range(lines)]
    return {"checkout": {"order": {"id": "7"}, "totalPrice": MONEY, "lineItems": items}}


@pytest.mark.parametrize("lines", [3, 33, 34, 45])
def test_large_orders_keep_all_lines_and_their_discounts(visit, collector, lines):
    visit.open()
    visit.tell("checkout_completed", order_of(lines))
    eventually(lambda: ids(collector), ["checkout_completed-1"])
    [arrived] = [event["data"]["checkout"] for event in collector.stored()]
    assert (arrived["order"], arrived["totalPrice"], len(arrived["lineItems"])) == ({"id": "7"}, MONEY, lines)
    assert not {"linesComplete", "lineCount"} & arrived.keys()
    for number, one in enumerate(arrived["lineItems"]):
        assert (one["id"], one["quantity"], one["finalLinePrice"]) == (str(number), 2, MONEY)
        assert (one["variant"]["id"], one["variant"]["product"]["id"], one["variant"]["price"]) == ("2", "1", MONEY)
        assert one["properties"][0]["value"] == "r1"
        off = {"ALL": 0, "ENTITLED": 0}
        for given in one["discountAllocations"]:
            assert given["amount"]["currencyCode"] == "USD"
            application = given["discountApplication"]
            kind = (application["targetType"], application["allocationMethod"], application["type"])
            assert kind == ("LINE_ITEM", "ACROSS", "DISCOUNT_CODE")
            off[given["discountApplication"]["targetSelection"]] += given["amount"]["amount"]
        assert {target: round(amount, 9) for target, amount in off.items()} == {"ALL": 0.3, "ENTITLED": 1.25}


@pytest.mark.parametrize("lines", [60, 131, 132, 400])
def test_oversized_orders_are_cut_and_have_the_line_count(visit, collector, lines):
    visit.open()
    visit.tell("checkout_completed", order_of(lines))
    eventually(lambda: ids(collector), ["checkout_completed-1"])
    [arrived] = [event["data"]["checkout"] for event in collector.stored()]
    assert (arrived["order"], arrived["totalPrice"]) == ({"id": "7"}, MONEY)
    assert (arrived["linesComplete"], arrived["lineCount"]) == (False, lines)
    assert [one["id"] for one in arrived["lineItems"]] == [str(number) for number in range(len(arrived["lineItems"]))]
    assert len(arrived["lineItems"]) > 40


def test_oversized_carts_are_cut_and_have_the_line_count(visit, collector):
    line = {
        "cost": {"totalAmount": MONEY},
        "quantity": 1,
        "merchandise": {"id": "2", "price": MONEY, "product": {"id": "1"}},
    }
    visit.open()
    visit.tell("cart_viewed", {"cart": {"id": "c", "lines": [line] * 1000}})
    eventually(lambda: ids(collector), ["cart_viewed-1"])
    [cart] = [event["data"]["cart"] for event in collector.stored()]
    assert (cart["linesComplete"], cart["lineCount"], cart["id"]) == (False, 1000, "c")
    assert len(cart["lines"]) > 50


OUTBOX = "Object.keys(localStorage).filter((key) => key.startsWith('pixelnova')).length"


def test_the_outbox_of_a_page_is_bounded(visit, collector):
    collector.watched.shut = 1000
    visit.open()
    for number in range(60):
        visit.tell("checkout_completed", CHECKOUT, number=number)
    eventually(lambda: visit.page.evaluate(OUTBOX), 20)


def test_events_right_before_navigation_arrive(visit, collector):
    visit.open()
    visit.tell("page_viewed", number=1)
    visit.page.wait_for_timeout(50)
    visit.open()
    visit.tell("page_viewed", number=2)
    eventually(lambda: ids(collector), ["page_viewed-1", "page_viewed-2"])


def test_the_next_page_sends_unsent_events(visit, collector):
    collector.watched.shut = 1000
    visit.open()
    visit.tell("checkout_completed", CHECKOUT)
    eventually(lambda: len(collector.watched.bodies) > 0, True, settle_seconds=0)
    visit.page.goto("about:blank")  # this page can no longer retry
    collector.watched.shut = 0
    visit.open()
    eventually(lambda: ids(collector), ["checkout_completed-1"])
    eventually(lambda: visit.page.evaluate(OUTBOX), 0)


def test_withdrawing_consent_empties_the_outbox(visit, collector):
    collector.watched.shut = 1000
    visit.open()
    visit.tell("checkout_completed", CHECKOUT)
    eventually(lambda: len(collector.watched.bodies) > 0, True, settle_seconds=0)
    assert visit.page.evaluate(OUTBOX) == 1
    visit.tell_together(visit.message("page_viewed"), visit.consent_message(DENIED), visit.message("page_viewed"))
    eventually(lambda: visit.page.evaluate(OUTBOX), 0)
    requests = len(collector.watched.bodies)
    time.sleep(1.5)  # the first retry is due after a second
    assert len(collector.watched.bodies) == requests
    collector.watched.shut = 0
    visit.open(ALLOWED)
    time.sleep(1.5)
    assert ids(collector) == []


@pytest.mark.parametrize("signal", [True, False])
def test_global_privacy_control_of_the_browser_is_sent(visit, collector, signal):
    visit.open(before=f"Object.defineProperty(navigator, 'globalPrivacyControl', {{value: {json.dumps(signal)}}});")
    visit.tell("page_viewed")
    eventually(lambda: ids(collector), ["page_viewed-1"])
    assert json.loads(collector.watched.bodies[0])["gpc"] is signal


def test_pixel_and_collector_remove_the_same_data(chromium):
    staying = [event({"detail": text}, title=text, location={"search": text}) for text in STAYS]
    events = [*(found.body for found in marked_events()), *staying, *map(event, STAYING_OBJECTS)]
    page = chromium.new_page()
    page.evaluate(f"void (self.remover = (() => {{{PERSONAL_DATA.read_text()}; return personalDataRemover}})())")
    in_pixel = page.evaluate(
        "([rules, events]) => events.map(self.remover(rules))", [json.loads(RULES.read_text()), events]
    )
    page.close()
    in_collector = [json.loads(strip_json(json.dumps(one).encode())) for one in events]
    assert [(left, right) for left, right in zip(in_pixel, in_collector, strict=True) if left != right] == []


def test_custom_pixel_is_small_enough_to_paste():
    assert len(custom_pixel("https://collector.example", "key-of-a-shop")) < 60_000


def test_an_app_pixel_never_overwrites_a_folder(tmp_path):
    with pytest.raises(PackagingError, match="exists already"):
        write_app_pixel(tmp_path)
