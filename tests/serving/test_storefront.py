"""The snippet in a real browser: on a test page, and in the demo shop with pixel, collector and read API.

Shopify is mocked: its pixel manager by the demo shop, its globals by the test page.
"""

import hashlib
import json
import math
import random
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from ingestion.simulator.catalogue import build_catalogue
from ingestion.simulator.pixel_events import Browser, Checkout, Device
from serving.demo_shop.server import FILES, THEME_FILES, create_storefront
from serving.published import NothingPublished, Published, read_current, shard_name
from tests.browser import running
from tests.conftest import PROJECT
from tests.serving.published_version import PIXEL, write_version
from tests.serving.storefront_page import CARD, SITE, SNIPPET, Site

SOURCE = THEME_FILES / "pixelnova-recommendations.source.js"
SECTION = THEME_FILES / "pixelnova-recommendations.liquid"
PRODUCTS = 120
VIEWED, CLICKED = "pixelnova:recommendation_viewed", "pixelnova:recommendation_clicked"
PROPERTY = "properties[_pixelnova_rec]"


@pytest.fixture(scope="module")
def published(shop, tmp_path_factory) -> Published:
    return write_version(tmp_path_factory.mktemp("data"), shop.domain, PRODUCTS, 4)


@pytest.fixture
def site(chromium, published):
    made = Site(chromium, published.folder)
    yield made
    assert made.errors == []
    made.context.close()


def element(shop: str, placement: str, *, product: str | None = None, limit: int = 4, source: str = FILES) -> str:
    of_product = f'data-product="{product}"' if product else ""
    return (
        f'<pixelnova-recommendations hidden style="display: block" data-shop="{shop}" data-placement="{placement}" '
        f'data-limit="{limit}" data-source="{source}" {of_product}>{CARD}</pixelnova-recommendations>'
        "<style>[hidden] { display: none !important }</style>"
    )


def item(product_id: str, **more) -> dict:
    price, reason = {"amount": "1234.50", "currency": "EUR"}, {"code": "popular"}
    made = {"product_id": product_id, "title": f"No. {product_id}", "handle": f"h-{product_id}", "url": None}
    return {
        **made,
        "image": "/p.png",
        "vendor": None,
        "type": None,
        "price": price,
        "reason": reason,
        "score": 1,
        **more,
    }


def lists_of(*items: dict) -> dict[str, object]:
    head = {"schema": 1, "shop": "s", "version": "v7", "model_version": "m7", "generated_at": None}
    return {f"{FILES}/shops/s/lists.json": {**head, "popular": list(items), "trending": []}}


def test_shipped_snippet_is_small_and_up_to_date():
    shipped = SNIPPET.read_bytes()
    assert len(shipped) <= 4000
    stamp = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:6]
    assert shipped.endswith(f"//{stamp}\n".encode()), (
        "the source has changed: rebuild the snippet as README.md describes"
    )
    for forbidden in (b"innerHTML", b"insertAdjacentHTML", b"outerHTML", b"document.write", b"eval("):
        assert forbidden not in shipped


def test_browser_and_python_compute_same_shard(site):
    ids = [str(7_300_000_000_000 + number * 3_571) for number in range(300)] + ["0", "ü", "€uro", "😀", "a-b_c"]
    site.open("".join(element(f"s{n}", "viewed_together", product=one) for n, one in enumerate(ids)))
    asked = {path for path in site.asked if path.startswith(FILES)} - {f"{FILES}/shops/s0/experiments.json"}
    assert asked == {f"{FILES}/shops/s{n}/products/{shard_name(one)}" for n, one in enumerate(ids)}
    assert len({shard_name(one) for one in ids}) > 100


@pytest.mark.parametrize("placement", ["product_page", "viewed_together", "popular", "trending"])
def test_list_renders_with_theme_template(site, shop, published, placement):
    lists = published.lists(shop.domain)
    document = published.document(shop.domain, "1001")
    listed = getattr(lists, placement, None) or document.placements[placement]
    wanted = [one for one in listed if one.product_id != "1001"][:4]
    page = site.open(element(shop.domain, placement, product="1001"))
    assert site.shown() == [one.title for one in wanted]
    cards = page.locator("ol > li").all()
    assert [card.locator("a").get_attribute("href") for card in cards] == [
        f"{SITE}/products/{one.handle}" for one in wanted
    ]
    words = {"popular": "Popular", "similar": "Like it"}
    assert [card.locator("small").text_content() for card in cards] == [
        words.get(one.reason.code, "") for one in wanted
    ]
    assert page.locator("ol > :last-child").evaluate("(last) => last.tagName") == "TEMPLATE"


def test_price_uses_page_locale_and_missing_price_is_empty(site):
    site.answers |= lists_of(item("1"), item("2", price=None), item("3", price={"amount": "5", "currency": None}))
    page = site.open(element("s", "popular"))
    assert page.locator("[data-field=price]").all_text_contents() == ["€1,234.50", "", ""]


@pytest.mark.parametrize(
    ("lang", "written"), [("en_US", "€1,234.50"), ("de-", "€1,234.50"), ("x", "€1,234.50"), ("", "€1,234.50")]
)
def test_invalid_page_language_uses_browser_locale(site, lang, written):
    site.answers |= lists_of(item("1"), item("2", price={"amount": "5", "currency": "EURO"}))
    site.put(element("s", "popular"), "/")
    site.answers["/"] = site.answers["/"].replace('lang="en-GB"', f'lang="{lang}"')
    site.page.goto(SITE)
    site.settle()
    assert len(site.shown()) == 2
    assert site.page.locator("[data-field=price]").all_text_contents() == [written, ""]


@pytest.mark.parametrize(
    ("active", "written"), [("EUR", ["€1,234.50", ""]), ("USD", ["", "US$7.00"]), ("JPY", ["", ""]), (None, None)]
)
def test_price_in_other_currency_is_hidden(site, active, written):
    site.answers |= lists_of(item("1"), item("2", price={"amount": "7", "currency": "USD"}))
    currency = f"<script>Shopify.currency = {{active: {json.dumps(active)}, rate: '1.0'}}</script>"
    page = site.open(currency + element("s", "popular"))
    assert len(site.shown()) == 2
    assert page.locator("[data-field=price]").all_text_contents() == (written or ["€1,234.50", "US$7.00"])


def test_hostile_product_data_is_inert(site):
    evil = "<img src=x onerror='window.harmed = 1'>"
    site.answers |= lists_of(
        item("1", title=evil, handle=None, url="javascript:window.harmed = 1", image="javascript:window.harmed = 1"),
        item("2", handle=None, url="java\nscript:window.harmed = 1", image="data:text/html,x", reason={"code": evil}),
        item("3", handle='"><script>window.harmed = 1</script>', image=None),
        item("4", handle=None, url="https://elsewhere.test/p", image="https://cdn.test/p.png"),
        item("__proto__", handle="../../x"),
        item("6", price={"amount": "1", "currency": "not money"}),
        item("7", handle=None, url="http://[", image=None),
        {"product_id": "8"},
        None,
    )
    page = site.open(element("s", "popular", limit=20))
    assert site.shown() == [evil, "No. 2", "No. 3", "No. 4", "No. __proto__", "No. 6"]
    links = [link.get_attribute("href") for link in page.locator("li a").all()]
    assert links[0] == links[1] == ""
    assert links[2].startswith(f"{SITE}/products/%22")
    assert links[3] == "https://elsewhere.test/p"
    assert links[4].startswith(f"{SITE}/")
    assert page.locator("li img").evaluate_all("(all) => all.map((one) => one.src)") == [
        "https://cdn.test/p.png",
        f"{SITE}/p.png",
        f"{SITE}/p.png",
    ]
    page.locator("li a").first.click()
    page.wait_for_load_state()
    assert page.evaluate("window.harmed") is None
    assert page.evaluate("({}).score") is None


@pytest.mark.parametrize(
    "answer", [404, 500, None, "", "no json", "null", "[]", "{}", '{"items": 7, "popular": "x"}'], ids=str
)
def test_failed_response_leaves_page_unchanged(chromium, answer):
    site = Site(chromium, None)
    files = [f"{FILES}/shops/s/lists.json", f"{FILES}/shops/s/products/{shard_name('1')}"]
    api = [f"/v1/shops/s/{end}" for end in ("products/1/recommendations", "session", "popular")]
    site.answers |= dict.fromkeys([*files, *api], answer)
    placements = ("product_page", "session", "bought_together", "popular")
    lists = [element("s", one, product="1", source=source) for source in (FILES, "/v1") for one in placements]
    page = site.open("".join(lists) + "<p>The page</p>")
    assert {*files, *api} <= set(site.asked)
    for hidden in page.locator("pixelnova-recommendations").all():
        assert hidden.get_attribute("hidden") == ""
        assert hidden.inner_html().strip() == CARD.strip()
    assert (site.errors, page.evaluate("published")) == ([], [])
    site.context.close()


@pytest.mark.parametrize("broken", ["<ol></ol>", ""])
def test_missing_template_renders_nothing(site, broken):
    site.answers |= lists_of(item("1"))
    page = site.open(element("s", "popular").replace(CARD, broken))
    assert page.locator("pixelnova-recommendations").get_attribute("hidden") == ""


def test_snippet_included_twice_renders_once(site):
    site.answers |= lists_of(item("1"), item("2"))
    again = '<script src="/snippet.js" defer></script>'
    site.open(element("s", "popular").replace("<pixelnova-recommendations", "<section data-pixelnova") + again)
    assert site.shown() == ["No. 1", "No. 2"]


def test_empty_list_falls_back_but_is_not_filled_up(site, shop, published):
    newest = max(published.catalogue(shop.domain).products, key=int)  # it has no document
    site.open(element(shop.domain, "session", product=newest))
    popular = [one.title for one in published.lists(shop.domain).popular if one.product_id != newest]
    assert site.shown() == popular[:4]
    site.open(element(shop.domain, "bought_together", product=newest))
    assert site.shown() == []


@pytest.mark.parametrize(("source", "popular"), [(FILES, "lists.json"), ("/v1", "popular")])
@pytest.mark.parametrize(("placement", "product"), [("session", None), ("product_page", None), ("product_page", "")])
def test_no_viewed_product_requests_only_popular(site, source, popular, placement, product):
    site.answers |= {**lists_of(item("1")), "/v1/shops/s/popular": {"items": [item("1")]}}
    attribute = "" if product is None else ' data-product=""'
    site.open(element("s", placement, source=source).replace(" hidden", f" hidden{attribute}"))
    assert site.shown() == ["No. 1"]
    site.open(element("s", "bought_together", source=source))
    asked = [path for path in site.asked if path.startswith(source) and "experiments" not in path]
    assert asked == [f"{source}/shops/s/{popular}"]


def test_lists_of_a_page_do_not_repeat_products(site, shop, published):
    viewed, placements = ["1002", "1003"], ("bought_together", "product_page", "session", "popular", "popular")
    site.open("")
    site.page.evaluate("(ids) => localStorage['pixelnova:viewed'] = JSON.stringify(ids)", viewed)
    site.open("".join(element(shop.domain, one, product="1001") for one in placements))
    document, lists = published.document(shop.domain, "1001"), published.lists(shop.domain)
    chosen: list[str] = []
    for titles in (
        [one.title for one in document.placements["bought_together"]],
        [one.title for one in document.placements["product_page"]],
        combined(published, shop.domain, [*viewed, "1001"], 3),
        *([one.title for one in lists.popular if one.product_id != "1001"],) * 2,
    ):
        chosen += [title for title in titles if title not in chosen][:4]
    assert site.shown() == chosen
    assert len(chosen) > 15


def test_list_is_shorter_or_hidden_instead_of_repeating(site):
    site.answers |= lists_of(*(item(str(number)) for number in range(1, 7)))
    page = site.open("".join(element("s", one, product="2") for one in ("popular", "popular", "trending")))
    lists = [one.locator("b").all_text_contents() for one in page.locator("pixelnova-recommendations").all()]
    assert lists == [["No. 1", "No. 3", "No. 4", "No. 5"], ["No. 6"], []]
    assert page.locator("pixelnova-recommendations").last.is_hidden()


def scroll_to(page, y: int) -> None:
    page.evaluate("(y) => scrollTo({top: y, behavior: 'instant'})", y)


def two_frames(page) -> None:
    """Wait until intersection observers have run."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def test_viewed_event_needs_half_the_list_visible_for_one_second(site):
    site.answers |= lists_of(item("1"), item("2", reason={"code": "trending"}))
    sized = "<style>body { margin: 0 } ol { height: 400px; margin: 0; overflow: hidden } h2 { display: none }</style>"
    tall = '<div style="height: 2000px"></div>'
    page = site.open(sized + tall + element("s", "popular", product="9") + tall)
    height = page.viewport_size["height"]
    waiting, none = "seconds.size === 1", "seconds.size === 0"
    scroll_to(page, 2000 - height + 150)  # less than half
    two_frames(page)
    assert page.evaluate(none)
    scroll_to(page, 2000 - height + 250)
    page.wait_for_function(waiting)
    scroll_to(page, 0)  # before one second has passed
    page.wait_for_function(none)
    page.evaluate("aSecondPasses()")
    assert page.evaluate("published") == []
    scroll_to(page, 2000)
    page.wait_for_function(waiting)
    assert page.evaluate("published") == []
    page.evaluate("aSecondPasses()")
    [viewed] = page.evaluate("published")
    request_id = viewed["data"].pop("request_id")
    assert len(request_id) > 10
    assert viewed == {
        "name": VIEWED,
        "data": {
            "v": 1,
            "placement": "popular",
            "seed_product_id": "9",
            "model_version": "m7",
            "version": "v7",
            "product_ids": ["1", "2"],
            "strategies": ["popular", "trending"],
        },
    }
    scroll_to(page, 0)
    two_frames(page)
    scroll_to(page, 2000)
    two_frames(page)
    page.evaluate("aSecondPasses()")
    assert len(page.evaluate("published")) == 1


@pytest.mark.parametrize("may_store", [True, False])
def test_nothing_is_stored_without_consent(site, shop, may_store):
    page = site.open(element(shop.domain, "product_page", product="1001"), may_store=may_store)
    page.evaluate("addEventListener('click', (event) => event.preventDefault())")
    page.locator("li a").nth(1).click()
    [clicked] = page.evaluate("published")
    assert clicked["name"] == CLICKED
    assert len(site.shown()) == 4
    assert sorted(site.kept()) == (["pixelnova:clicked", "pixelnova:unit", "pixelnova:viewed"] if may_store else [])


@pytest.mark.parametrize("corrupt", ["no json", '"text"', "7", '{"a": 1}', "[null, {}]"])
def test_corrupt_browser_storage_is_ignored(site, shop, corrupt):
    site.open("")
    keep = "(text) => { for (const s of [localStorage, sessionStorage]) for (const key of ['viewed', 'clicked']) "
    site.page.evaluate(keep + "s['pixelnova:' + key] = text }", corrupt)
    site.open(element(shop.domain, "session", product="1001"))
    assert len(site.shown()) == 4


def test_last_five_distinct_products_are_stored(site):
    for one in ["1", "2", "3", "2", "4", "5", "6", "6"]:
        site.open(element("s", "popular", product=one) + element("s", "session", product=one))
    assert json.loads(site.kept()["pixelnova:viewed"]) == ["3", "2", "4", "5", "6"]
    site.open(element("s", "session"))
    assert json.loads(site.kept()["pixelnova:viewed"]) == ["3", "2", "4", "5", "6"]


def test_only_forms_of_clicked_product_are_attributed(site):
    site.answers |= lists_of(item("1"), item("2"))
    page = site.open(element("s", "popular", product="9"))
    page.evaluate("addEventListener('click', (event) => event.preventDefault())")
    page.locator("li a").nth(1).click()
    forms = """
        <form id=own action="/cart/add"></form>
        <form id=named action="/de/cart/add?x"><input name="product-id" value="2"></form>
        <form id=other action="/cart/add"><input name="product-id" value="3"></form>
        <form id=search action="/search"></form>
    """
    page = site.open(forms + element("s", "popular", product="2") + element("s", "session", product="2"), "/2")
    marked = page.locator(f"input[name='{PROPERTY}']").evaluate_all("(all) => all.map((one) => one.form.id)")
    assert marked == ["own", "named"]
    request_id, *rest = page.locator(f"#own [name='{PROPERTY}']").input_value().split(".")
    assert rest == ["popular", "popular", "2"]
    assert len(request_id) > 10
    page = site.open(forms + element("s", "popular", product="1"), "/1")
    assert page.locator(f"input[name='{PROPERTY}']").count() == 0


def test_clicks_expire_after_24_hours(site):
    site.open("")
    site.page.evaluate("""
        localStorage["pixelnova:clicked"] = JSON.stringify([
            {id: "1", rec: "new", at: Date.now() - 23 * 3600e3},
            {id: "2", rec: "old", at: Date.now() - 25 * 3600e3},
        ])
    """)
    for product, marks in (("1", 1), ("2", 0)):
        page = site.open('<form action="/cart/add"></form>' + element("s", "popular", product=product))
        assert page.locator(f"input[name='{PROPERTY}']").count() == marks
    assert [one["id"] for one in json.loads(site.kept()["pixelnova:clicked"])] == ["1"]


def combined(published: Published, shop: str, viewed: list[str], most_of_a_group: int) -> list[str]:
    """Reference implementation of the session list."""
    scores: dict[str, float] = defaultdict(float)
    items = {}
    for distance, seed in enumerate(reversed(viewed[-5:]), 1):
        document = published.document(shop, seed)
        for one in document.placements["viewed_together"] if document else []:
            scores[one.product_id] += one.score / (distance * math.sqrt(distance))
            items[one.product_id] = one
    groups: Counter = Counter()
    found = []
    for one in sorted(scores, key=lambda one: (-round(scores[one], 9), one)):
        group = (items[one].vendor, items[one].type)
        if one not in viewed and groups[group] < most_of_a_group:
            groups[group] += 1
            found.append(items[one].title)
    return found


def test_session_list_matches_python_implementation(site, shop, published):
    rng = random.Random(5)
    ids = sorted(published.catalogue(shop.domain).products)[:-1]
    capped = 0
    for number in range(12):
        viewed = rng.sample(ids, 1 + number % 5)
        site.open("")
        site.page.evaluate("(ids) => localStorage['pixelnova:viewed'] = JSON.stringify(ids)", viewed)
        product = viewed[-1] if number % 2 else None  # on its product page, or on a page without a product
        site.open(element(shop.domain, "session", product=product, limit=200))
        wanted = combined(published, shop.domain, viewed, 3)
        assert site.shown() == wanted
        capped += wanted != combined(published, shop.domain, viewed, 1000)
    assert capped > 3


def test_session_list_has_session_as_reason(site, shop):
    page = site.open(element(shop.domain, "session", product="1001"))
    assert page.locator("small").all_text_contents() == ["Goes with it"] * 4
    page.evaluate("addEventListener('click', (event) => event.preventDefault())")
    page.locator("li a").first.click()
    [clicked] = page.evaluate("published")
    assert clicked["data"]["strategy"] == "session"
    assert ".session.session.1" in site.kept()["pixelnova:clicked"]


def test_session_ties_are_in_id_order(site):
    ids = ["7300000000300", "7300000000100", "99", "7300000000200"]
    document = {"placements": {"viewed_together": [item(one, score=0.1) for one in ids]}}
    site.answers[f"{FILES}/shops/s/products/{shard_name('1')}"] = {"products": {"1": document}}
    site.open(element("s", "session", product="1"))
    assert site.shown() == [f"No. {one}" for one in sorted(ids)]


def test_session_ignores_failed_shard(site, shop, published):
    viewed = ["1002", "gone", "1003"]
    site.open("")
    site.page.evaluate("(ids) => localStorage['pixelnova:viewed'] = JSON.stringify(ids)", viewed)
    site.open(element(shop.domain, "session", limit=200))
    assert site.shown() == combined(published, shop.domain, viewed, 3)


def test_snippet_fills_liquid_section(site, shop, published):
    text = SECTION.read_text()
    schema = json.loads(re.search(r"{% schema %}(.*){% endschema %}", text, re.DOTALL)[1])
    settings = {one["id"]: one for one in schema["settings"]}
    assert {one["value"] for one in settings["placement"]["options"]} == {
        *("product_page", "bought_together", "viewed_together", "session", "popular", "trending")
    }
    used = set(re.findall(r"settings\.(\w+)", text))
    assert used == set(settings)
    values = {
        "shop.permanent_domain": shop.domain,
        "product.id": "1001",
        "source": FILES,
        **{f"settings.{name}": str(one.get("default", "")) for name, one in settings.items()},
    }
    body = text.partition("{% stylesheet %}")[0].partition("<script")[0]
    body = re.sub(r"{%-? comment -?%}.*?{%-? endcomment -?%}|{%.*?%}", "", body, flags=re.DOTALL)
    body = re.sub(r"{{ ([\w.]+)(?: \| escape)? }}", lambda found: values[found[1]], body)
    assert "{" not in body
    site.open(body)
    wanted = published.document(shop.domain, "1001").placements["product_page"][:4]
    assert site.shown() == [one.title for one in wanted]
    assert site.page.locator("small").all_text_contents() == ["Similar"] * 4


def visible_titles(page, heading: str) -> list[str]:
    found = page.locator("pixelnova-recommendations", has=page.get_by_role("heading", name=heading))
    found.locator(".title").first.wait_for()
    return found.locator(".title").all_text_contents()


def check_out(page) -> None:
    """Check out from the cart. Waits for each page to load, so that its scripts publish their events."""
    page.wait_for_url("**/cart")
    page.get_by_role("button", name="Check out").click()
    page.wait_for_url("**/checkouts/cn/*")
    page.get_by_role("button", name="Complete the order").click()
    page.wait_for_url("**/thank-you")


def test_views_clicks_and_purchase_reach_landing_files(shopper, demo, shop, published):
    page = shopper.page
    document = published.document(shop.domain, "1003")
    asked = {"placement": "product_page", "limit": 4}
    path = f"{demo.api}/shops/{shop.domain}/products/1003/recommendations"
    answer = httpx.get(path, params=asked).json()
    listed = [one for one in answer["items"] if one["price"]]
    page.goto(f"{demo.url}/products/{document.seed.handle}")
    assert visible_titles(page, "You may also like") == [one["title"] for one in answer["items"]]
    [seen] = [event for event in shopper.events_of("product_viewed") if event["type"] == "standard"]
    assert seen["data"]["productVariant"]["product"]["id"] == "1003"

    heading = page.get_by_role("heading", name="You may also like")
    heading.scroll_into_view_if_needed()
    page.locator("pixelnova-recommendations", has=heading).locator("li").last.scroll_into_view_if_needed()
    deadline = time.monotonic() + 15
    viewed = []
    while not viewed and time.monotonic() < deadline:
        page.wait_for_timeout(100)
        viewed = [e["customData"] for e in demo.stored(VIEWED) if e["customData"]["placement"] == "product_page"]
    assert viewed[0]["product_ids"] == [one["product_id"] for one in answer["items"]]
    assert viewed[0]["strategies"] == [one["reason"]["code"] for one in answer["items"]]
    assert (viewed[0]["version"], viewed[0]["model_version"]) == (answer["version"], answer["model_version"])

    chosen = listed[1]
    page.locator("pixelnova-recommendations", has=heading).get_by_text(chosen["title"], exact=True).last.click()
    page.wait_for_url(f"**/products/{chosen['handle']}")
    page.get_by_role("button", name="Add to cart").click()
    page.get_by_text("is in your cart").wait_for()
    page.get_by_role("link", name="Cart").click()
    check_out(page)
    page.reload()

    [clicked] = shopper.events_of(CLICKED)
    data = clicked["customData"]
    assert data == {
        "v": 1,
        "request_id": viewed[0]["request_id"],
        "placement": "product_page",
        "strategy": chosen["reason"]["code"],
        "position": answer["items"].index(chosen) + 1,
        "seed_product_id": "1003",
        "product_id": chosen["product_id"],
        "model_version": answer["model_version"],
        "version": answer["version"],
    }
    [added] = shopper.events_of("product_added_to_cart")
    assert added["data"]["cartLine"]["merchandise"]["product"]["id"] == chosen["product_id"]
    attribution = f"{data['request_id']}.product_page.{data['strategy']}.{data['position']}"
    for name in ("checkout_started", "checkout_completed"):
        [event] = shopper.events_of(name)
        [line] = event["data"]["checkout"]["lineItems"]
        assert line["properties"] == [{"key": "_pixelnova_rec", "value": attribution}]
    assert event["data"]["checkout"]["order"]["id"].startswith("gid://shopify/OrderIdentity/")
    assert float(event["data"]["checkout"]["totalPrice"]["amount"]) == float(chosen["price"]["amount"])
    assert len(shopper.events_of("cart_viewed")) == 1
    shopper.events_of("page_viewed", 6)


@pytest.mark.parametrize("how", [{"button": "middle"}, {"modifiers": ["Control"]}])
def test_click_opening_a_tab_is_counted_and_attributed(shopper, demo, shop, published, how):
    page = shopper.page
    page.goto(f"{demo.url}/products/{published.document(shop.domain, '1003').seed.handle}")
    visible_titles(page, "You may also like")
    lists = page.locator("pixelnova-recommendations", has=page.get_by_role("heading", name="You may also like"))
    link = lists.locator("li:has([data-field=price]:not(:empty)) a").first
    link.click(button="right")  # it opens the context menu, which is not counted
    with page.context.expect_page() as opened:
        link.click(**how)
    [clicked] = shopper.events_of(CLICKED)
    data = clicked["customData"]
    marked = opened.value.locator(f"input[name='{PROPERTY}']")
    marked.wait_for(state="attached")
    assert marked.input_value() == f"{data['request_id']}.product_page.{data['strategy']}.{data['position']}"


def shape(value):
    """The nested keys of a value; lists by their first element."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return None


def test_demo_events_have_same_shape_as_simulated_events(shopper, demo):
    page = shopper.page
    page.goto(f"{demo.url}/?page=1")
    page.get_by_role("list").last.locator("li:has(data) a:has(img)").first.click()
    page.wait_for_url("**/products/*")
    page.evaluate("document.querySelector('form').submit()")  # as if no script handled the form
    check_out(page)

    device = Device("agent", "en-US", 1200, 900)
    browser = Browser("c", device, "shop.test", "USD", random.Random(1))
    product = build_catalogue(1).products[0]
    lines = [(product, product.variants[0], 1)]
    at = datetime(2026, 11, 22, tzinfo=UTC)
    checkout = Checkout("t", lines, (), 0, 0, None, True)
    browser.open_page("/", "Home", at)
    browser.emit("product_viewed", at, {"productVariant": browser.variant(product, product.variants[0])})
    browser.emit("product_added_to_cart", at, {"cartLine": browser.cart_line(*lines[0])})
    browser.emit("checkout_started", at, checkout.data(browser))
    browser.emit("checkout_completed", at, checkout.data(browser, 5, paid=True))
    for simulated in browser.events:
        [event, *_] = shopper.events_of(simulated["name"], 5 if simulated["name"] == "page_viewed" else 1)
        assert shape(event) == shape(simulated)


def show(page, markup: str) -> None:
    """Replace the content of a demo shop page."""
    page.evaluate(
        """([markup]) => {
            document.querySelector("main").innerHTML = markup;
            const script = document.createElement("script");
            script.src = "/assets/pixelnova-recommendations.js";
            document.head.append(script);
        }""",
        [markup],
    )
    page.locator("[data-field=title]:visible").first.wait_for()


def test_demo_session_list_equals_api_response(shopper, demo, shop):
    page, viewed = shopper.page, ["1003", "1004"]
    page.goto(demo.url)
    page.evaluate("(ids) => localStorage['pixelnova:viewed'] = JSON.stringify(ids)", viewed)
    show(page, element(shop.domain, "session", source=demo.api))
    answer = httpx.post(f"{demo.api}/shops/{shop.domain}/session", json={"products": viewed}).json()
    assert page.locator("[data-field=title]:visible").all_text_contents() == [
        one["title"] for one in answer["items"][:4]
    ]
    assert page.locator("small:visible").all_text_contents() == ["Goes with it"] * 4


def test_api_lists_keep_their_length_below_other_lists(shopper, demo, shop):
    page = shopper.page
    page.goto(demo.url)
    page.evaluate("localStorage['pixelnova:viewed'] = '[\"1003\"]'")
    show(
        page, "".join(element(shop.domain, one, limit=12, source=demo.api) for one in ("popular", "popular", "session"))
    )
    page.locator("pixelnova-recommendations >> nth=2").locator("li").first.wait_for()
    titles = page.locator("[data-field=title]:visible").all_text_contents()
    popular = httpx.get(f"{demo.api}/shops/{shop.domain}/popular", params={"limit": 24}).json()["items"]
    assert titles[:24] == [one["title"] for one in popular]
    assert len(set(titles)) == len(titles) == 36


def test_no_events_without_consent(shopper, demo):
    page = shopper.page
    page.goto(demo.url)
    shopper.events_of("page_viewed")
    page.get_by_role("button", name="Tracking allowed").click()
    page.get_by_role("button", name="Tracking refused").wait_for()
    page.evaluate("delete localStorage['pixelnova:viewed']; delete localStorage['pixelnova:clicked']")
    page.goto(f"{demo.url}/cart")
    page.locator(".cards a").first.click()
    page.wait_for_url("**/products/*")
    visible_titles(page, "You may also like")
    assert page.evaluate("localStorage['pixelnova:viewed'] ?? localStorage['pixelnova:clicked'] ?? null") is None
    page.get_by_role("button", name="Tracking refused").click()
    page.goto(demo.url)
    shopper.events_of("page_viewed", 2)
    shopper.events_of(CLICKED, 0)


def test_demo_follows_newest_version_and_serves_only_public_files(shop, tmp_path):
    with pytest.raises(NothingPublished):
        create_storefront(tmp_path, shop.domain, "", None)
    write_version(tmp_path, shop.domain, 10, 1)
    app = create_storefront(tmp_path, shop.domain, "", None)
    with running(app) as port:
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}")
        assert client.get("/products/nothing").status_code == 404
        newest = write_version(tmp_path, shop.domain, 30, 2)
        assert client.get(f"{FILES}/shops/{shop.domain}/lists.json").json()["version"] == newest.manifest.version
        last = read_current(tmp_path).catalogue(shop.domain).products["1030"]
        assert last.title in client.get(f"/products/{last.handle}").text.replace("&amp;", "&")
        for secret in ("private", "../private", "%2e%2e/private", "%2e%2e%2fmanifest.json", "/etc/passwd"):
            assert client.get(f"{FILES}/{secret}/shops/{shop.domain}/sessions.parquet").status_code == 404
        assert client.get(f"{FILES}/%2e%2e/manifest.json").status_code == 404
        assert client.post("/cart/add", data={"id": "10301' or 1"}).status_code == 422


@pytest.mark.parametrize("scripts", [True, False])
def test_demo_needs_no_external_images(chromium, shop, tmp_path, scripts):
    folder = write_version(tmp_path, shop.domain, 30, 1).folder
    for file in folder.rglob("*.json"):
        file.write_text(file.read_text().replace(PIXEL, "https://cdn.shopify.com/p.png"))
    context = chromium.new_context(java_script_enabled=scripts)
    page = context.new_page()
    problems, answers = [], []
    page.on("console", lambda message: problems.append(message.text))
    page.on("response", lambda answer: answers.append(answer))
    page.on("requestfailed", lambda request: problems.append(request.url))
    with running(create_storefront(tmp_path, shop.domain, "", None)) as port:
        product = read_current(tmp_path).catalogue(shop.domain).products["1003"]
        for path in ("/", f"/products/{product.handle}", "/cart"):
            page.goto(f"http://127.0.0.1:{port}{path}", wait_until="networkidle")
        if scripts:
            card = page.locator("pixelnova-recommendations li").first
            card.locator("img").wait_for()
            handle = card.locator("a").get_attribute("href").rpartition("/")[2]
            page.goto(f"http://127.0.0.1:{port}/products/{handle}", wait_until="networkidle")
            own, *others = page.locator("img.tile").evaluate_all("(all) => all.map((one) => new URL(one.src).pathname)")
            assert own == f"/pictures/{handle}"
            assert len(set(others)) == len(others) > 4
    assert problems == []
    asked = {urlsplit(answer.url).netloc: answer.status for answer in answers if answer.url.startswith("http")}
    assert asked == {f"127.0.0.1:{port}": 200}
    pictures = [answer for answer in answers if "/pictures/" in answer.url]
    assert pictures
    assert {(one.status, one.headers["content-type"]) for one in pictures} == {(200, "image/svg+xml")}
    context.close()


def demo_process(data: Path, shop: str, api: str | None) -> subprocess.Popen[str]:
    program = (
        "import sys; from pathlib import Path; from serving.demo_shop.server import serve_storefront; "
        f"serve_storefront('127.0.0.1', 0, Path(sys.argv[1]), sys.argv[2], '', {api!r})"
    )
    command = [sys.executable, "-c", program, str(data), shop]
    return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_demo_prints_its_address_and_stops_on_signal(shop, tmp_path, number):
    write_version(tmp_path, shop.domain, 5, 1)
    with demo_process(tmp_path, shop.domain, None) as process:
        url = re.search(r"http://[\d.:]+(?= )", process.stdout.readline())[
            0
        ]  # terminals would include a comma in the link
        assert httpx.get(url).status_code == 200
        process.send_signal(number)
        assert process.wait(20) == 0


def test_demo_prints_its_address_once_the_api_listens(shop, tmp_path):
    write_version(tmp_path, shop.domain, 5, 1)
    with socket.socket() as api:
        api.bind(("127.0.0.1", 0))
        with demo_process(tmp_path, shop.domain, f"http://127.0.0.1:{api.getsockname()[1]}/v1") as process:
            assert select.select([process.stdout], [], [], 3)[0] == []
            api.listen()
            assert "The shop: http://" in process.stdout.readline()
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
