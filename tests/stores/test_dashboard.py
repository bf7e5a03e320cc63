"""Every page of the dashboard for odd shops: nothing yet, one day, two years, no decimals, several currencies."""

import json
import shutil
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from streamlit.testing.v1 import AppTest

from serving.analytics.changes import ProductPart, SalesChange
from serving.dashboard.screens.overview import changes_list
from serving.published import ANALYSTS_FILE, MANIFEST, read_current
from tests.conftest import PROJECT
from tests.stores.conftest import RECEIVED_AT
from tests.stores.events import NOON, cart_line, checkout, event, viewed

APP = PROJECT / "serving" / "dashboard" / "app.py"
PAGES = ("overview", "funnel", "products", "visitors", "journeys", "recommendations", "experiments", "pipeline")
DAY = 24 * 60
TODAY = (RECEIVED_AT - NOON) / timedelta(minutes=1) - 60
MARKDOWN = "![1](https://elsewhere.example/1.png) *No* $1$"


def visit(number: int, minute: float, product: str = "1", amount: float = 10, currency: str = "EUR") -> list[dict]:
    """A visit by one of twenty persons, from the first page to an order."""
    client, price = f"visitor-{number % 20}", {"price": amount, "currency": currency}
    order = checkout(f"token-{number}", f"9{number}", f"8{number % 20}", product, amount, currency)
    return [
        event("page_viewed", client, minute, path="/?utm_medium=email&utm_source=news" if number % 3 else "/"),
        event("product_viewed", client, minute + 1, data=viewed(product, **price)),
        event("product_added_to_cart", client, minute + 2, data=cart_line(product, **price)),
        event("checkout_started", client, minute + 3, data=order),
        event("checkout_completed", client, minute + 4, data=order),
    ]


def titled(events: list[dict], title: str) -> list[dict]:
    """The events, with another title of product 1."""
    return json.loads(json.dumps(events).replace('"Product 1"', json.dumps(title)))


def shop(timezone: str, currency: str) -> str:
    return f'timezone = "{timezone}"\ncurrency = "{currency}"\n'


EMPTY, ONE_DAY, TWO_YEARS, MIXED = (
    f"dashboard-{name}.myshopify.com" for name in ("empty", "one-day", "two-years", "currencies")
)
EVENTS: list[dict] = []  # of the shop that every module has
CURRENCIES = ("EUR", "USD", "JPY", "EUR", "KWD")
MORE_SHOPS = {
    EMPTY: (shop("Europe/Berlin", "EUR"), []),
    ONE_DAY: (shop("America/New_York", "USD"), titled(visit(1, TODAY, currency="USD"), MARKDOWN)),
    TWO_YEARS: (
        shop("Asia/Tokyo", "JPY"),
        [one for n in range(148) for one in visit(n, -5 * n * DAY, str(1 + n % 3), 2730 - 5 * n, "JPY")],
    ),
    MIXED: (
        shop("Europe/Berlin", "EUR"),
        [one for n, code in enumerate(CURRENCIES) for one in visit(n, -(n + 1) * DAY, "1", 100 * (n + 1), code)],
    ),
}

# An experiment that nobody has seen.
EXPERIMENTS = f"""
[[experiments]]
shop = "{ONE_DAY}"
key = "lists"
name = "Lists"
placements = ["product_page"]
primary_metrics = ["revenue_per_visitor"]
variations = [{{key = "control", shows = "default"}}, {{key = "b", shows = "viewed_together"}}]
phases = [{{start = 2026-11-01T00:00:00Z, coverage = 1, weights = [0.5, 0.5]}}]
"""


@pytest.fixture
def page(published_stores, monkeypatch):
    """Opens a page of a shop."""

    def page(domain: str, name: str = "overview", data: Path = published_stores, **choices: str) -> AppTest:
        monkeypatch.setenv("PIXELNOVA_DATA", str(data))
        shown = AppTest.from_file(str(APP), default_timeout=120)
        for parameter, value in {"shop": domain, **choices}.items():
            shown.query_params[parameter] = value
        shown.run()
        if name != "overview":
            shown.switch_page(f"screens/{name}.py").run()
        assert [one.message for one in shown.exception] == [], name
        assert [one.value for one in shown.error] == [], name
        return shown

    return page


def cards(page: AppTest) -> dict[str, str]:
    return {card.label: card.value for card in page.metric}


def texts(page: AppTest) -> str:
    return "\n".join(one.value for one in [*page.markdown, *page.info, *page.caption])


def axes(page: AppTest) -> list[list[str]]:
    return [json.loads(chart.proto.spec)["xAxis"]["data"] for chart in page.get("echarts_chart")]


@pytest.mark.parametrize("domain", [EMPTY, ONE_DAY, TWO_YEARS, MIXED])
def test_every_page_has_figures_or_says_that_there_are_none(page, domain):
    for name in PAGES:
        shown = page(domain, name, period="all")
        assert ("No usable event" in texts(shown)) == ("No data yet" in texts(shown)) == (domain == EMPTY), name
        figures = [value for value in cards(shown).values() if value not in ("0", "–")]
        figures += [table for table in shown.dataframe if len(table.value)]
        assert figures or "No" in texts(shown), name
        if domain == EMPTY and name not in ("funnel", "pipeline"):  # steps without sessions; published versions
            assert figures == [], name


def test_a_shop_that_began_today_has_the_figures_of_one_order(page):
    for period in ("today", "28 days"):
        shown = page(ONE_DAY, period=period)
        assert cards(shown) | {"Orders": "1", "Gross sales": "$10.00"} == cards(shown)
        assert "No comparison: the shop's first events" in texts(shown)


def test_two_years_are_drawn_by_week_and_people_are_counted_once(page):
    shown = page(TWO_YEARS, period="all")
    assert cards(shown) | {"Visitors": "20", "Orders": "148"} == cards(shown)
    assert "Visitors by week" in texts(shown)
    assert [len(weeks) for weeks in axes(shown)] == [107] * 3


def test_yen_have_no_decimals(page):
    total = sum(2730 - 5 * n for n in range(148))
    assert cards(page(TWO_YEARS, period="all"))["Gross sales"] == f"¥{total:,}"
    columns = "".join(table.proto.columns for table in page(TWO_YEARS, "products", period="all").dataframe)
    assert "¥%,.0f" in columns or "\\u00a5%,.0f" in columns


def test_amounts_of_several_currencies_are_never_added(page):
    found = {label: value for label, value in cards(page(MIXED)).items() if label.startswith("Gross sales")}
    assert found == {
        "Gross sales, EUR": "€500.00",
        "Gross sales, USD": "$200.00",
        "Gross sales, JPY": "¥300",
        "Gross sales, KWD": "KWD500.000",
    }


def test_an_experiment_that_nobody_has_seen_yet_is_shown(page):
    assert "**Lists**, phase 1: No visitor has seen it yet." in texts(page(ONE_DAY, "experiments", period="all"))


def test_privacy_requests_of_a_shop_are_on_its_pipeline_page_once_there_are_any(page, published_stores, tmp_path):
    shutil.copytree(published_stores / "published", tmp_path / "published", symlinks=True)
    version = read_current(tmp_path).folder
    manifest = json.loads((version / MANIFEST).read_text())
    manifest["rows_by_table"]["operations.privacy_requests"] = 2
    (version / MANIFEST).write_text(json.dumps(manifest))
    with duckdb.connect(str(version / ANALYSTS_FILE)) as connection:
        connection.execute(
            f"create or replace table operations.privacy_requests as select '{TWO_YEARS}' as shop, "
            "unnest(['customers/redact', 'customers/data_request']) as topic, timestamp '2026-11-20' as requested_at, "
            "timestamp '2026-12-20' as due_at, 'received' as status, cast(null as timestamp) as fulfilled_at"
        )
    for domain, requests in ((TWO_YEARS, 2), (MIXED, 0)):
        shown = page(domain, "pipeline", data=tmp_path)
        assert sum(len(table.value) for table in shown.dataframe if "Topic" in table.value) == requests
        assert ("Privacy requests" in texts(shown)) == (requests > 0)


def test_a_title_has_no_effect_as_markdown():
    """A product's title comes from events: an image in it would make the reader's browser ask another machine."""
    product = ProductPart("1", MARKDOWN, 10, ("email", "mobile"), 10)
    sentence = changes_list(SalesChange("USD", 0, 10, (), (product,))).splitlines()[1]
    assert "![" not in sentence and "$" not in sentence.replace(r"\$", "")
    assert MARKDOWN in sentence.replace("\\", "")
