"""Measures the dashboard in a browser and the analytics API over a published version.

Every page is opened once to warm the caches, then timed in new browser tabs: until its figures are shown and the script
is idle; then with another filter. The API is asked for every metric in the forms that pages use, and for every report.
"""

import argparse
import asyncio
import json
import time
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import httpx
from playwright.sync_api import Browser, Page, sync_playwright

from orchestration.settings import data_folder
from serving.analytics.reports import reports
from serving.analytics.store import Store, Stores
from serving.api import ApiSettings, create_api
from serving.api.keys import add_key, keys_file, revoke_key
from tests.browser import ARGUMENTS, CHROMIUM
from tests.dashboard_process import IDLE, SHOWN, dashboard
from tests.screenshots import loopback_only

PAGES = ("overview", "funnel", "products", "visitors", "journeys", "recommendations", "experiments", "pipeline")
ROUNDS = 3
SECONDS = 300
SLOWEST = 5  # shown by name
# Streamlit exposes the state of the script in an attribute.
COUNT_RUNS = """() => {
    const app = document.querySelector('[data-testid=stApp]');
    window.runsEnded = 0;
    new MutationObserver(() => { window.runsEnded += app.dataset.testScriptState === 'notRunning' })
        .observe(app, {attributes: true, attributeFilter: ['data-test-script-state']});
}"""


def page_seconds(browser: Browser, url: str) -> tuple[float, float]:
    """How long a page takes in a new tab, and again after another device is chosen."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.route("**/*", loopback_only)
    page = context.new_page()
    page.set_default_timeout(SECONDS * 1000)
    begun = time.monotonic()
    page.goto(url)
    page.wait_for_selector(SHOWN)
    page.wait_for_function(IDLE)
    opened = time.monotonic() - begun
    filtered = _filter_seconds(page)
    context.close()
    return opened, filtered


def _filter_seconds(page: Page) -> float:
    page.get_by_label("Device", exact=False).first.click()
    option = page.get_by_role("option", name="desktop")
    option.wait_for()
    page.evaluate(COUNT_RUNS)
    begun = time.monotonic()
    option.click()
    page.wait_for_function("window.runsEnded > 0")
    return time.monotonic() - begun


def pages(data: Path, shop: str, names: list[str]) -> dict[str, Any]:
    """Seconds per page: the first time, then warm, as medians; each also with another filter."""
    with dashboard(data) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        found = {}
        for name in names:
            url = f"{address}/{'' if name == PAGES[0] else name}?shop={shop}"
            first, first_filtered = page_seconds(browser, url)
            warm = [page_seconds(browser, url) for _ in range(ROUNDS)]
            found[name] = {
                "first": round(first, 2),
                "first_filtered": round(first_filtered, 2),
                "warm": round(median(opened for opened, _ in warm), 2),
                "warm_filtered": round(median(filtered for _, filtered in warm), 2),
            }
            print(name, found[name], flush=True)
        browser.close()
    return found


def requests(store: Store) -> list[str]:
    """Every metric by date, by channel, filtered and compared; every report."""
    catalogue = store.catalogue()
    found = []
    for metric in catalogue.values():
        dimensions = catalogue.dimensions(metric)
        found += [f"{metric.name}?compare=previous", f"{metric.name}?by=date", f"{metric.name}?by=week&period=all"]
        if "channel" in dimensions:
            found += [f"{metric.name}?by=channel,device", f"{metric.name}?filter=channel:email"]
        if "product_id" in dimensions:
            found.append(f"{metric.name}?by=product_id&compare=previous")
    for name, report in reports().items():
        found.append(f"reports/{name}{'?filter=product_id:1' if 'product_id' in report.filters else ''}")
    return found


async def api(data: Path, shop: str) -> dict[str, Any]:
    """Milliseconds per request of the analytics API, in this process."""
    key, text = add_key(keys_file(data), shop, ("analytics",), requests_per_minute=0)
    transport = httpx.ASGITransport(app=create_api(data, ApiSettings(0)))
    spent = {}
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://api", timeout=SECONDS) as client:
            for path in requests(Stores(data).newest()):
                begun = time.monotonic()
                url = f"/v1/shops/{shop}/analytics/{path}"
                answer = await client.get(url, headers={"authorization": f"Bearer {text}"})
                spent[path] = round(1000 * (time.monotonic() - begun), 1)
                assert answer.status_code == 200, (path, answer.text)
    finally:
        revoke_key(keys_file(data), key.id)
    slowest = sorted(spent, key=lambda path: -spent[path])[:SLOWEST]
    return {
        "requests": len(spent),
        "p50_ms": round(median(spent.values()), 1),
        "p90_ms": round(quantiles(spent.values(), n=10)[-1], 1),
        "slowest_ms": {path: spent[path] for path in slowest},
    }


def largest_shop(store: Store) -> str:
    """The shop with the most days of history."""
    return max(store.shops(), key=lambda one: (one.today - one.first_date, one.shop)).shop


def main() -> None:
    """Measure, print, and write the figures to the file of --json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--data", type=Path, default=data_folder(), help="a data folder with a published version")
    parser.add_argument("--pages", nargs="*", default=PAGES, choices=PAGES, help="all unless named")
    arguments = parser.parse_args()
    shop = largest_shop(Stores(arguments.data).newest())
    found = {"shop": shop, "api": asyncio.run(api(arguments.data, shop))}
    print(json.dumps(found, indent=2), flush=True)
    found["pages"] = pages(arguments.data, shop, arguments.pages)
    print(json.dumps(found, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
