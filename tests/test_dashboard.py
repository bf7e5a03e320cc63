"""The dashboard over the demo: every page and filter, the same figures on the page, in SQL and from the API, no request
that leaves this machine, and tenants kept apart."""

import asyncio
import shutil
from collections.abc import Iterator
from types import SimpleNamespace
from urllib.parse import urlsplit

import httpx
import pytest
from streamlit.testing.v1 import AppTest

from serving.analytics.changes import sales_change
from serving.analytics.periods import compared_period, named_period
from serving.analytics.reports import FILTERS, UNITS, reports, run_report
from serving.analytics.store import ShopNotVisible, Stores
from serving.analytics.values import measure
from serving.api import ApiSettings, create_api
from serving.api.keys import add_key
from serving.dashboard.formats import number_text
from serving.publish import publish
from serving.published import read_current
from tests.conftest import PROJECT
from tests.dashboard_process import IDLE, SHOWN, dashboard, proxy
from tests.questions import DEMO_SHOP

APP = PROJECT / "serving" / "dashboard" / "app.py"
PAGES = ("overview", "funnel", "products", "visitors", "journeys", "recommendations", "experiments", "pipeline")
CHOICES = (
    {"period": "7 days", "compare": "year before"},
    {"period": "all", "compare": "no comparison", "channel": "email"},
    {"period": "28 days", "device": "mobile", "new_or_known": "new"},
)
LOADED_SECONDS = 120  # for a slow machine


@pytest.fixture
def page(built_demo, monkeypatch):
    """Runs the script of the dashboard, as Streamlit would for one reader."""
    monkeypatch.setenv("PIXELNOVA_DATA", str(built_demo.data))

    def page(name: str = "overview", **choices: str) -> AppTest:
        shown = AppTest.from_file(str(APP), default_timeout=LOADED_SECONDS)
        for parameter, value in choices.items():
            shown.query_params[parameter] = value
        shown.run()
        if name != "overview":
            shown.switch_page(f"screens/{name}.py").run()
        assert [one.message for one in shown.exception] == []
        assert [one.value for one in shown.error] == []
        return shown

    return page


@pytest.mark.parametrize("name", PAGES)
def test_every_page_renders_with_every_filter(page, name):
    for choices in ({}, *CHOICES):
        shown = page(name, **choices)
        assert shown.title[0].value.lower() == name
        assert len(shown.metric) + len(shown.dataframe) > 0


def test_a_link_shows_what_was_chosen(page):
    chosen = page()
    chosen.selectbox(key="device").set_value("mobile").run()
    linked = page(device="mobile")
    assert [card.value for card in linked.metric] == [card.value for card in chosen.metric]
    assert linked.metric[0].value != page().metric[0].value


def test_the_page_the_api_and_sql_show_the_same_figures(page, built_demo, tmp_path, monkeypatch):
    """Every card of the overview, without and with filters."""
    monkeypatch.setenv("PIXELNOVA_API_KEYS", str(tmp_path / "keys.json"))
    _, key = add_key(tmp_path / "keys.json", DEMO_SHOP, ("analytics",), requests_per_minute=0)
    store = Stores(built_demo.data).newest()
    shop = store.shop(DEMO_SHOP)
    period = named_period("28 days", shop.today, shop.first_date)
    labels = {metric.label: metric for metric in store.catalogue().values()}
    transport = httpx.ASGITransport(app=create_api(built_demo.data, ApiSettings(0)))

    async def ask(metric: str, filters: dict[str, str]) -> dict:
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            query = {"filter": [f"{name}:{value}" for name, value in filters.items()]}
            headers = {"authorization": f"Bearer {key}"}
            answer = await client.get(f"/v1/shops/{DEMO_SHOP}/analytics/{metric}", params=query, headers=headers)
            assert answer.status_code == 200, answer.text
            return answer.json()

    for filters in ({}, {"channel": "email"}):
        for card in page(**filters).metric:
            metric = labels[card.label]
            [value] = measure(store, DEMO_SHOP, metric.name, period, (), filters).values
            answer = asyncio.run(ask(metric.name, filters))
            assert number_text(value.value, metric.unit, value.currency) == card.value
            assert answer["values"][0]["value"] == pytest.approx(float(value.value or 0))
            assert answer["first_date"] == period.first.isoformat()


def test_visitors_are_counted_and_not_added(page, built_demo):
    """Of several days, the daily visitors add up to more, because some return."""
    [(counted, on_days)] = built_demo.query(
        "select count(distinct journey_id), count(distinct (journey_id, local_date)) "
        "from core.sessions where not is_bot"
    )
    [(added,)] = built_demo.query("select sum(visitors) from analytics.daily_shop")
    shown = page(period="all")
    visitors = next(card.value for card in shown.metric if card.label == "Visitors")
    assert visitors == f"{counted:,}" and counted < on_days == added


def test_every_figure_has_its_definition_sql_and_csv(page):
    shown = page()
    assert all(card.help for card in shown.metric)
    sql = [code.value for code in shown.code]
    assert len(sql) >= len(shown.metric)
    assert all("select" in text and "$shop" in text for text in sql)
    assert len(shown.get("download_button")) >= len(shown.metric)


def test_every_report_has_the_columns_and_units_that_it_declares(built_demo):
    store = Stores(built_demo.data).newest()
    shop = store.shop(DEMO_SHOP)
    period = named_period("28 days", shop.today, shop.first_date)
    for name, report in reports().items():
        filters = {"product_id": "none"} if "product_id" in report.filters else {}
        found = run_report(store, DEMO_SHOP, name, period, filters)
        assert list(found.rows.columns) == [column.name for column in report.columns], name
        assert {column.unit for column in report.columns} <= set(UNITS), name
        assert set(report.filters) <= set(FILTERS), name


def test_what_changed_adds_up_by_segment_and_by_product(built_demo):
    store = Stores(built_demo.data).newest()
    shop = store.shop(DEMO_SHOP)
    period = named_period("7 days", shop.today, shop.first_date)
    earlier = compared_period(period, "previous")
    change = sales_change(store, DEMO_SHOP, "USD", period, earlier)
    assert sum(part.amount for part in change.parts) == pytest.approx(change.difference)
    now, before = (measure(store, DEMO_SHOP, "product_sales", one).total("USD") for one in (period, earlier))
    assert sum(part.amount for part in change.products) == pytest.approx(float(now - before))
    part = change.products[0]
    filters = {"product_id": part.product_id, "channel": part.segment[0], "device": part.segment[1]}
    of_segment = [
        measure(store, DEMO_SHOP, "product_sales", one, (), filters).total("USD") or 0 for one in (period, earlier)
    ]
    assert part.segment_amount == pytest.approx(float(of_segment[0] - of_segment[1]))


def test_a_product_has_its_own_figures(page, built_demo):
    store = Stores(built_demo.data).newest()
    shop = store.shop(DEMO_SHOP)
    period = named_period("28 days", shop.today, shop.first_date)
    sales = measure(store, DEMO_SHOP, "product_sales", period, ["product_id"]).by_key("USD")
    product = min(sales, key=lambda one: sales[one])
    [(title,)] = built_demo.query(f"select title from core.products where product_id = '{product}'")
    shown = page("products", product=title)
    assert [card.value for card in shown.metric if card.label == "Product sales"] == [
        number_text(sum(sales.values()), "money", "USD"),
        number_text(sales[product], "money", "USD"),
    ]


def test_annotations_are_drawn_on_series(page, tmp_path, monkeypatch, built_demo):
    file = tmp_path / "annotations.toml"
    file.write_text('[[annotations]]\ndate = 2026-10-20\ntext = "Newsletter"\n')
    monkeypatch.setenv("PIXELNOVA_ANNOTATIONS", str(file))
    assert any("Newsletter" in str(chart.proto) for chart in page().get("echarts_chart"))


def test_an_access_file_binds_queries_to_shops(built_demo):
    store = Stores(built_demo.data).newest(frozenset({"other.myshopify.com"}))
    assert store.shops() == []
    period = named_period("7 days", *([Stores(built_demo.data).newest().shop(DEMO_SHOP).today] * 2))
    for ask in (
        lambda: store.shop(DEMO_SHOP),
        lambda: store.query(DEMO_SHOP, "select 1 where 'x' = $shop"),
        lambda: measure(store, DEMO_SHOP, "visitors", period),
    ):
        with pytest.raises(ShopNotVisible):
            ask()
    with pytest.raises(ValueError, match="filter by"):
        Stores(built_demo.data).newest().query(DEMO_SHOP, "select count(*) from core.sessions")


def test_a_reader_without_shops_sees_no_figure_whatever_the_url_says(built_demo, tmp_path, monkeypatch):
    access = tmp_path / "access.toml"
    access.write_text(
        'login = "header"\nheader = "X-User"\nproxies = ["127.0.0.1"]\n[users]\nb = ["other.myshopify.com"]\n'
    )
    monkeypatch.setenv("PIXELNOVA_DATA", str(built_demo.data))
    monkeypatch.setenv("PIXELNOVA_DASHBOARD_ACCESS", str(access))
    shown = AppTest.from_file(str(APP), default_timeout=LOADED_SECONDS)
    shown.query_params["shop"] = DEMO_SHOP
    shown.run()
    assert [card.value for card in shown.metric] == []
    assert "proxy" in shown.error[0].value


@pytest.fixture(scope="module")
def server(built_demo, tmp_path_factory) -> Iterator[SimpleNamespace]:
    """The dashboard over a copy of the demo's data folder."""
    data = tmp_path_factory.mktemp("dashboard")
    shutil.copytree(built_demo.data / "published", data / "published", symlinks=True)
    with dashboard(data) as address:
        yield SimpleNamespace(address=address, data=data)


@pytest.fixture
def browse(chromium, server):
    """Opens a page; `outside` collects requests to any other machine."""
    outside: list[str] = []
    contexts = []

    def browse(name: str, width: int = 1280, scheme: str = "light", query: str = ""):
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)

        def route(request) -> None:
            if urlsplit(request.request.url).hostname in ("127.0.0.1", None):
                request.continue_()
            else:
                outside.append(request.request.url)
                request.abort()

        context.route("**/*", route)
        page = context.new_page()
        page.set_default_timeout(1000 * LOADED_SECONDS)
        page.goto(f"{server.address}/{'' if name == PAGES[0] else name}{query}")
        page.wait_for_selector(SHOWN)
        page.wait_for_function(IDLE)
        return page

    yield browse
    for context in contexts:
        context.close()
    assert outside == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_every_page_fits_in_a_browser_and_no_request_leaves_the_machine(browse, width, scheme):
    for name in PAGES:
        page = browse(name, width, scheme)
        assert page.locator("[data-testid=stException]").count() == 0, name
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        assert page.locator("h1").first.inner_text().lower() == name


def test_a_choice_is_kept_in_the_url(browse):
    page = browse("overview")
    page.get_by_label("Device", exact=False).first.click()
    page.get_by_role("option", name="mobile").click()
    page.wait_for_url("**device=mobile**")
    page.get_by_role("link", name="Funnel").click()
    page.wait_for_url("**/funnel?**device=mobile**")


def test_a_new_version_is_shown_without_a_reload(browse, server, built_demo):
    page = browse("pipeline")
    before = read_current(built_demo.data).folder.name
    page.get_by_text(f"Version {before} was published").wait_for()
    published = publish(built_demo.file, server.data)
    page.get_by_text(f"Version {published.folder.name} was published").wait_for()


def test_only_the_proxy_identifies_the_user(chromium, built_demo, tmp_path):
    access = tmp_path / "access.toml"
    access.write_text(
        'login = "header"\nheader = "X-User"\nproxies = ["127.0.0.1"]\n'
        f'[users]\nanna = ["{DEMO_SHOP}"]\nbob = ["other.myshopify.com"]\n'
    )

    def shown(address: str) -> tuple[int, str]:
        page = chromium.new_page()
        page.set_default_timeout(1000 * LOADED_SECONDS)
        page.goto(f"{address}/?shop={DEMO_SHOP}")
        page.wait_for_selector(SHOWN)
        page.wait_for_function(IDLE)
        alerts = page.locator("[data-testid=stAlert]").all_inner_texts()
        found = page.locator("[data-testid=stMetricValue]").count(), " ".join(alerts)
        page.close()
        return found

    # Even where every sender's X-Forwarded-For is trusted elsewhere, the peer's own address counts here.
    trusting = {"PIXELNOVA_DASHBOARD_ACCESS": str(access), "FORWARDED_ALLOW_IPS": "*"}
    with dashboard(built_demo.data, **trusting) as address:
        with proxy(address, "X-User: anna\r\nX-Forwarded-For: 198.51.100.7\r\n") as of_anna:
            assert shown(of_anna)[0] > 0
        with proxy(address, "X-User: bob\r\n") as of_bob:
            cards, alerts = shown(of_bob)
            assert cards == 0 and "You have no access to any shop" in alerts
        cards, alerts = shown(address)
        assert cards == 0 and "through its proxy" in alerts
