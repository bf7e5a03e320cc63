"""Experiments in a real browser: who is exposed to what, with which consent, and what the list then shows."""

import json
import re

import msgspec
import pytest

from ingestion.assignment import assigned_bucket
from serving.experiment_export import audience
from serving.published import Experiments, ServedPhase, ServedVariation, shop_folder
from tests.serving.published_version import write_version
from tests.serving.storefront_page import CARD, SITE, Site

EXPOSED = "pixelnova:experiment_exposed"
PRODUCT = "1001"
UNIT = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
UNITS = [f"00000000-0000-4000-8000-{number:012d}" for number in range(400)]
HELD_OUT = next(unit for unit in UNITS if assigned_bucket("holdout", unit) < 500)
FREE = [unit for unit in UNITS if assigned_bucket("holdout", unit) >= 500]
CONTROL = next(unit for unit in FREE if assigned_bucket("test", unit) < 4000)
TREATMENT = next(unit for unit in FREE if 5000 <= assigned_bucket("test", unit) < 9000)
NOT_COVERED = next(unit for unit in FREE if 4000 <= assigned_bucket("test", unit) < 5000)
HOLDOUT_ONLY = [("holdout", 1, "treatment")]


def phase(experiment, variations, **more):
    return ServedPhase(
        **{
            "experiment": experiment,
            "phase": 1,
            "is_holdout": False,
            "seed": experiment,
            "layer": None,
            "layer_from": 0,
            "layer_to": 10_000,
            "started_at": "2020-01-01T00:00:00.000Z",
            "ended_at": None,
            "placements": None,
            "devices": None,
            "channels": None,
            "audience": "",
            "variations": [ServedVariation(*variation) for variation in variations],
        }
        | more
    )


HOLDOUT = phase("holdout", [("control", 0, 500, []), ("treatment", 500, 10_000, None)], is_holdout=True)
TEST = phase("test", [("control", 0, 4000, None), ("trending", 5000, 9000, ["trending"])])


@pytest.fixture(scope="module")
def published(shop, tmp_path_factory):
    """A version whose files have the holdout and the experiment."""
    version = write_version(tmp_path_factory.mktemp("data"), shop.domain, 60, 4)
    document = msgspec.structs.replace(version.experiments(shop.domain), experiments=[HOLDOUT, TEST])
    (version.folder / shop_folder(shop.domain) / "experiments.json").write_bytes(msgspec.json.encode(document))
    return version


@pytest.fixture
def site(chromium, published, shop):
    site = Site(chromium, published.folder)
    site.shop = shop.domain
    yield site
    site.context.close()
    assert site.errors == []


@pytest.fixture
def visit(site):
    """Open a product page as a unit, with experiments; returns its exposures: (experiment, phase, variation)."""

    def visit(unit=None, *phases, placement="product_page", may_store=True, path="/", lists=1):
        document = Experiments(
            shop=site.shop, version="v", model_version="", generated_at=None, experiments=list(phases)
        )
        file = f"/{shop_folder(site.shop)}/experiments.json"
        site.answers[file] = msgspec.json.encode(document).decode()
        if unit is not None:
            site.context.add_init_script(f"localStorage['pixelnova:unit'] ??= '{unit}'")
        site.open(element(site.shop, placement) * lists, path, may_store)
        return exposures(site)

    return visit


def element(shop, placement):
    return (
        f'<section><pixelnova-recommendations hidden data-source="/recommendations" data-shop="{shop}" '
        f'data-product="{PRODUCT}" data-placement="{placement}">{CARD}</pixelnova-recommendations></section>'
    )


def published_events(site, name=EXPOSED):
    return [
        {name: value for name, value in event["data"].items() if value is not None}  # None: undefined, which JSON omits
        for event in site.page.evaluate("published")
        if event["name"] == name
    ]


def exposures(site):
    return [(data["experiment"], data["phase"], data["variation"]) for data in published_events(site)]


def stored_unit(site):
    return site.page.evaluate("localStorage['pixelnova:unit']")


def test_treatment_is_exposed_and_sees_its_list(site, visit, published, shop):
    assert visit(TREATMENT, HOLDOUT, TEST) == [*HOLDOUT_ONLY, ("test", 1, "trending")]
    trending = [item.title for item in published.lists(shop.domain).trending if item.product_id != PRODUCT]
    assert site.shown() == trending[:8]
    exposure = published_events(site)[1]
    assert exposure == {
        "v": 1,
        "experiment": "test",
        "phase": 1,
        "variation": "trending",
        "unit": TREATMENT,
        "placement": "product_page",
        "request_id": exposure["request_id"],
        "seed_product_id": PRODUCT,
    }


def test_control_is_exposed_and_sees_the_default_list(site, visit, published, shop):
    assert visit(CONTROL, HOLDOUT, TEST) == [*HOLDOUT_ONLY, ("test", 1, "control")]
    default = [item.title for item in published.document(shop.domain, PRODUCT).placements["product_page"]]
    assert site.shown() == default[:8]


def test_held_out_unit_sees_nothing_and_is_in_no_other_experiment(site, visit):
    assert visit(HELD_OUT, HOLDOUT, TEST) == [("holdout", 1, "control")]
    assert site.shown() == []
    assert not site.page.locator("pixelnova-recommendations").is_visible()


def test_unit_outside_the_coverage_is_not_exposed(site, visit):
    assert visit(NOT_COVERED, HOLDOUT, TEST) == HOLDOUT_ONLY
    assert len(site.shown()) == 8


def test_variation_without_a_list_here_is_still_exposed(site, visit):
    nothing_there = phase("test", [("control", 0, 4000, None), ("empty", 5000, 9000, ["similar"])])
    assert visit(TREATMENT, nothing_there) == [("test", 1, "empty")]
    assert site.shown() == []


def test_unit_is_made_once_and_kept(site, visit):
    visit(None, HOLDOUT)
    unit = stored_unit(site)
    assert UNIT.fullmatch(unit)
    assert [data["unit"] for data in published_events(site)] == [unit]
    visit(None, HOLDOUT)
    assert stored_unit(site) == unit


def test_each_list_is_exposed_once(site, visit):
    visit(CONTROL, TEST, lists=2)
    assert len({data["request_id"] for data in published_events(site)}) == len(published_events(site)) == 2
    assert site.asked.count(f"/{shop_folder(site.shop)}/experiments.json") == 1


def test_without_consent_there_is_no_unit_and_nothing_is_exposed(site, visit):
    assert visit(None, HOLDOUT, TEST, may_store=False) == []
    assert site.kept() == {}
    assert len(site.shown()) == 8
    assert f"/{shop_folder(site.shop)}/experiments.json" not in site.asked


WITHDRAW = (
    "Shopify.customerPrivacy.preferencesProcessingAllowed = () => false;"
    "document.dispatchEvent(new Event('visitorConsentCollected'))"
)


def test_withdrawn_consent_removes_everything_that_is_kept(site, visit):
    visit(None, HOLDOUT)
    site.page.evaluate("addEventListener('click', (event) => event.preventDefault())")
    site.page.locator("li a").first.click()
    # The pixel's outbox is kept for analytics, not for preferences.
    site.page.evaluate("localStorage['pixelnova:out:1:x'] = '{}'")
    assert {"pixelnova:unit", "pixelnova:viewed", "pixelnova:clicked"} < site.kept().keys()
    site.page.evaluate(WITHDRAW)
    assert site.kept() == {"pixelnova:out:1:x": "{}"}


@pytest.mark.parametrize("withdraw", [True, False])
def test_consent_withdrawn_while_experiments_load_exposes_nothing(site, visit, withdraw):
    site.context.add_init_script(
        "const real = fetch; self.fetch = async (url, ...more) => {"
        " const answer = await real(url, ...more);"
        f" if ({json.dumps(withdraw)} && /experiments/.test(url)) {{ {WITHDRAW} }}"
        " return answer; }"
    )
    assert visit(TREATMENT, TEST) == ([] if withdraw else [("test", 1, "trending")])
    assert len(site.shown()) == 8


def test_consent_withdrawn_elsewhere_removes_the_unit_on_the_next_page(site, visit):
    visit(None, HOLDOUT)
    assert visit(None, HOLDOUT, may_store=False) == []
    assert "pixelnova:unit" not in site.kept()


@pytest.mark.parametrize(
    "more",
    [
        {"started_at": "2999-01-01T00:00:00.000Z"},
        {"ended_at": "2020-02-01T00:00:00.000Z"},
        {"placements": ["popular"]},
        {"audience": audience(None, ["mobile"], [])},
        {"audience": audience(["email"], None, [])},
        {"layer": "test", "layer_from": 9000},
    ],
    ids=["not begun", "ended", "another placement", "another device", "another channel", "outside the layer"],
)
def test_visit_outside_the_phase_is_not_exposed(site, visit, more):
    assert visit(TREATMENT, msgspec.structs.replace(TEST, **more)) == []
    assert len(site.shown()) == 8


def test_audience_is_that_of_the_first_page_of_the_visit(site, visit):
    of_email = msgspec.structs.replace(TEST, audience=audience(["email"], ["desktop"], ["shop.test"]))
    site.answers["/landing"] = "<!doctype html>"
    assert visit(TREATMENT, of_email, path="/") == []
    site.page.evaluate("sessionStorage.clear()")
    site.put(element(site.shop, "product_page"), "/")
    site.page.goto(f"{SITE}/?utm_medium=email&utm_source=news")
    site.settle()
    assert exposures(site) == [("test", 1, "trending")]
    assert visit(TREATMENT, of_email, path="/") == [("test", 1, "trending")]


@pytest.mark.parametrize("answer", [404, None, "<html>", "{}", '{"experiments": [{"audience": "("}]}'])
def test_unusable_experiments_leave_the_default_list(site, visit, answer):
    site.answers[f"/{shop_folder(site.shop)}/experiments.json"] = answer
    site.open(element(site.shop, "product_page"))
    assert exposures(site) == []
    assert len(site.shown()) == 8


def test_publish_that_fails_leaves_the_default_list(site, visit):
    document = json.loads(msgspec.json.encode([TEST]))
    site.answers[f"/{shop_folder(site.shop)}/experiments.json"] = json.dumps({"experiments": document})
    body = "<script>Shopify.analytics.publish = () => { throw Error('blocked') }</script>"
    site.open(body + element(site.shop, "product_page"))
    assert len(site.shown()) == 8


@pytest.mark.parametrize("source", ["files", "api"])
def test_exposures_reach_landing_files(shopper, demo, published, shop, source):
    page = shopper.page
    page.add_init_script(f"if (self == top) localStorage['pixelnova:unit'] ??= '{TREATMENT}'")  # not in the sandbox
    handle = published.document(shop.domain, PRODUCT).seed.handle
    page.goto(f"{demo.url}/products/{handle}")
    page.locator("pixelnova-recommendations, [data-pixelnova]").first.wait_for(state="attached")
    lists = "[...document.querySelectorAll('pixelnova-recommendations,[data-pixelnova]')]"
    if source == "api":
        page.evaluate(
            f"""async () => {{
                for (const list of {lists}) {{ list.drawn = undefined; list.dataset.source = "{demo.api}"; }}
                const {{src}} = document.querySelector("script[src*=recommendations]");
                await new Promise((onload) => document.head.append(Object.assign(
                    document.createElement("script"), {{src, onload}})));
            }}"""
        )
    page.evaluate(f"Promise.all({lists}.map((list) => list.drawn))")
    count = page.evaluate(f"{lists}.length") * 2 * (2 if source == "api" else 1)
    events = shopper.events_of(EXPOSED, count)
    assert {event["type"] for event in events} == {"custom"}
    assert {
        (one["experiment"], one["phase"], one["variation"], one["unit"])
        for one in (event["customData"] for event in events)
    } == {("holdout", 1, "treatment", TREATMENT), ("test", 1, "trending", TREATMENT)}


AGENTS = {
    "mobile": "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36",
    "tablet": "Mozilla/5.0 (Linux; Android 14; SM-X200) AppleWebKit/537.36 Chrome/120.0 Safari/537.36",
    "desktop": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/120.0 Safari/537.36",
}
VISITS = {
    "paid search": "?gclid=abc www.google.com",
    "paid social": "?ttclid=1 www.tiktok.com",
    "email": "?a=1&utm_medium=email undefined",
    "sms": "?utm_medium=sms undefined",
    "other campaign": "?utm_source=partner partner.example",
    "direct": " undefined",
    "organic search": " www.google.de",
    "organic social": " l.instagram.com",
    "referral": " blog.example",
}


def test_visit_is_in_the_audience_of_its_channel_and_device_only():
    for channel, visit in VISITS.items():
        for device, agent in AGENTS.items():
            text = f"{visit}\n{agent}"
            assert [name for name in VISITS if re.search(audience([name], None, ["shop.test"]), text)] == [channel]
            assert [name for name in AGENTS if re.search(audience(None, [name], []), text)] == [device]
    assert re.search(audience(["direct"], None, ["shop.test"]), f" shop.test\n{AGENTS['desktop']}")
